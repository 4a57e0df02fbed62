//! One stage of the hot path over one page, so many times: `one_stage scan|type|encode TIMES`. What counts its instructions
//! (`tests/bench/instructions.py`) takes a difference, so that what comes before does not count.

#![expect(clippy::unwrap_used, reason = "what fails here is the bench itself")]

mod workload;

use std::hint::black_box;

use crate::workload::Report;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(stage), Some(Ok(times))) = (arguments.next(), arguments.next().map(|times| times.parse::<u32>())) else {
        return;
    };
    let report = Report::of(10_000, 0);
    let pages = report.scanned();
    let batches = report.typed(&pages);
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..times {
        match stage.as_str() {
            "scan" => drop(black_box(report.scanned())),
            "type" => drop(black_box(report.typed(&pages))),
            _ => drop(black_box(report.encoded(&batches, folder.path()))),
        }
    }
}
