//! Scripts of random faults: each window of a run ends exact, or unpublished with the right code.
//!
//! The run is made in this process, with jitter that never waits: so a script of hundreds of faults
//! takes no longer than its calls.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use cxlake::vocabulary::SystemClock;
use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};

use crate::support::faults::status;
use crate::support::{Lab, Random, days, run_here, tenant};

const DAYS: [&str; 5] = ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"];
const FAULTS: usize = 200;

fn effect(random: &mut Random) -> Effect {
    match random.below(19) {
        0 => status(429, None),
        1 => status(500, None),
        2 => status(503, None),
        3 => Effect::Html,
        4 => Effect::Garbage,
        5 => Effect::CutBody { after_bytes: random.below(4_000) },
        6 => Effect::WrongContentLength { by: 3 },
        7 => Effect::Reset,
        8 => Effect::Slow { delay_ms: random.below(50) },
        9 => Effect::MovedTotal { by: 1 },
        10 => Effect::ShortPage { records: random.below(50) },
        11 => Effect::EmptyPage,
        // Always of the first page: two pages that come in the place of each other are all there.
        12 => Effect::RepeatedPage { of_offset: 0 },
        13 => Effect::WrongReturnedRecords { by: -1 },
        14 => Effect::NotUtf8 { record: random.below(50) },
        15 => Effect::RevokeTokens,
        16 => Effect::ByteOrderMark,
        // What is final comes seldom, or no run would come through.
        _ if random.below(20) == 0 => status(400, None),
        _ if random.below(20) == 0 => status(403, None),
        _ => status(504, None),
    }
}

/// Faults that come in the course of a run: after some calls each, on any page or a certain one.
fn script(random: &mut Random) -> Vec<Fault> {
    let kinds = [CallKind::Token, CallKind::UsersMe, CallKind::CustomMetrics];
    // The same bytes twice are no fault but what the record is (`typing.md`): then it is quarantined.
    let mut not_utf8 = HashSet::new();
    let mut fault = |random: &mut Random| {
        let on_data = random.below(20) > 0;
        let on = if on_data { CallKind::DataDownload } else { kinds[usize::try_from(random.below(3)).unwrap()] };
        let what = loop {
            let what = effect(random);
            // Answers about pages mean nothing to the other calls.
            let passing =
                matches!(what, Effect::Status { code: 429..=504, .. } | Effect::Reset | Effect::Garbage | Effect::Html);
            let comes_again = matches!(what, Effect::NotUtf8 { record } if !not_utf8.insert(record));
            if (on_data && !comes_again) || passing {
                break what;
            }
        };
        let offset = (on_data && random.below(2) == 0).then(|| 50 * random.below(6));
        Fault { on, offset, skip: random.below(150), times: 1, what }
    };
    (0..FAULTS).map(|_| fault(random)).collect()
}

fn tenant_of_five_days() -> TenantSettings {
    TenantSettings { duplicate_every: 0, bad_rules: vec!["type".to_owned(), "enum".to_owned()], ..tenant(300) }
}

async fn lab() -> Lab {
    let mut lab = Lab::start(tenant_of_five_days()).await;
    lab.replace("page_records = 500", "page_records = 50");
    lab.replace("retry_attempts = 4", "retry_attempts = 5");
    lab.replace("requests_per_second = 1000.0", "requests_per_second = 100000.0");
    lab.replace("burst = 100", "burst = 10000");
    lab
}

/// Runs five days. The exit code.
async fn run_days(lab: &Lab) -> u8 {
    run_here(lab, &days("2024-01-01", "2024-01-06"), Arc::new(SystemClock)).await.exit_code
}

/// For each committed day the hash of its records, from its manifest.
fn committed(lake: &Path) -> BTreeMap<String, String> {
    let mut days = BTreeMap::new();
    for day in DAYS {
        let Ok(folder) = std::fs::read_dir(lake.join(format!("acme/calls/manifests/dt={day}"))) else { continue };
        let done =
            folder.map(|entry| entry.unwrap().path()).find(|path| path.to_string_lossy().ends_with(".done.json"));
        let Some(done) = done else { continue };
        let done: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(done).unwrap()).unwrap();
        days.insert(day.to_owned(), done["extract_sha256"].as_str().unwrap().to_owned());
    }
    days
}

/// Whether any data is published without a manifest that says so.
fn published_days(lake: &Path) -> usize {
    std::fs::read_dir(lake.join("acme/calls/data")).map(Iterator::count).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn under_random_faults_each_window_ends_exact_or_unpublished() {
    let seeds: u64 = std::env::var("CXLAKE_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let faultless = lab().await;
    assert_eq!(run_days(&faultless).await, 0);
    let expected = committed(&faultless.lake());
    assert_eq!(expected.len(), DAYS.len());
    let (mut whole, mut partly) = (0, 0);
    for seed in 0..seeds {
        let lab = lab().await;
        script(&mut Random(seed)).into_iter().for_each(|fault| lab.simulator.play(fault));
        let code = run_days(&lab).await;
        let found = committed(&lab.lake());
        for (day, extract) in &found {
            assert_eq!(Some(extract), expected.get(day), "seed {seed}: {day}");
        }
        assert_eq!(published_days(&lab.lake()), found.len(), "seed {seed}");
        match code {
            0 => {
                whole += 1;
                assert_eq!(found.len(), DAYS.len(), "seed {seed}");
            }
            2 | 3 | 5 | 7 => {
                partly += 1;
                assert!(found.len() < DAYS.len(), "seed {seed}");
            }
            other => panic!("seed {seed} ended with {other}"),
        }
    }
    assert!(whole > 0 && partly > 0, "{whole} runs came through whole, {partly} did not");
}
