//! The hot path's stages, each alone and on one core: 100,000 records like the guide's, or 20,000 of
//! 48 custom metrics. `make bench` compares the whole with other tools.

#![expect(clippy::unwrap_used, reason = "what fails here is the bench itself")]

mod workload;

use std::hint::black_box;

use cxlake::vocabulary::ExactNumber;
use divan::Bencher;

use crate::workload::Report;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

/// Which records.
#[derive(Clone, Copy, Debug)]
enum Profile {
    Guide,
    Wide,
}

const PROFILES: [Profile; 2] = [Profile::Guide, Profile::Wide];

impl Profile {
    fn report(self) -> Report {
        match self {
            Self::Guide => Report::of(100_000, 0),
            Self::Wide => Report::of(20_000, 40),
        }
    }
}

/// From a page's bytes to where its records are.
#[divan::bench(args = PROFILES)]
fn scan(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = profile.report();
    bencher.bench_local(|| report.scanned());
}

/// From the records' texts to batches, all rules on.
#[divan::bench(args = PROFILES)]
fn type_records(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = profile.report();
    let pages = report.scanned();
    bencher.bench_local(|| report.typed(&pages));
}

/// From batches to a Parquet file in a temporary folder.
#[divan::bench(args = PROFILES)]
fn encode(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = profile.report();
    let batches = report.typed(&report.scanned());
    let folder = tempfile::tempdir().unwrap();
    bencher.bench_local(|| report.encoded(&batches, folder.path()));
}

/// Literals as scores and durations have them, and one that only the exact way can read.
#[divan::bench(args = ["0", "412", "0.8712", "-1034.25", "9007199254740993", "0.12345678901234567890123"])]
fn read_number(literal: &str) -> Option<ExactNumber> {
    ExactNumber::parse(black_box(literal))
}
