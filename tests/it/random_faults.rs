//! Scripts of random faults: a run ends exact, or unpublished with the right code.

use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};

use crate::support::faults::status;
use crate::support::{Lab, tenant};

/// A small generator of its own, so that a seed means the same for ever (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

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
        12 => Effect::RepeatedPage { of_offset: 50 * random.below(6) },
        13 => Effect::WrongReturnedRecords { by: -1 },
        14 => Effect::NotUtf8 { record: random.below(50) },
        15 => Effect::RevokeTokens,
        16 => Effect::ByteOrderMark,
        17 => status(400, None),
        _ => status(403, None),
    }
}

/// Two hundred faults come in the course of a script's runs; a fault that no call meets is no fault.
fn script(random: &mut Random) -> Vec<Fault> {
    let kinds = [CallKind::Token, CallKind::UsersMe, CallKind::CustomMetrics];
    let fault = |random: &mut Random| {
        let on_data = random.below(10) > 0;
        let on = if on_data { CallKind::DataDownload } else { kinds[usize::try_from(random.below(3)).unwrap()] };
        let what = loop {
            let what = effect(random);
            // Answers about pages mean nothing to the other calls.
            let passing =
                matches!(what, Effect::Status { code: 429..=503, .. } | Effect::Reset | Effect::Garbage | Effect::Html);
            if on_data || passing {
                break what;
            }
        };
        let offset = (on_data && random.below(2) == 0).then(|| 50 * random.below(6));
        Fault { on, offset, skip: random.below(8), times: 1 + random.below(2), what }
    };
    (0..200).map(|_| fault(random)).collect()
}

fn settings() -> TenantSettings {
    TenantSettings { duplicate_every: 0, bad_rules: vec!["type".to_owned(), "enum".to_owned()], ..tenant(300) }
}

async fn lab() -> Lab {
    let mut lab = Lab::start(settings()).await;
    lab.replace("page_records = 500", "page_records = 50");
    lab.replace("retry_attempts = 4", "retry_attempts = 4\nretry_elapsed_secs = 3");
    lab
}

/// The hash of the window's records, from the manifest with the highest number.
fn extract(lab: &Lab) -> Option<String> {
    let folder = lab.lake().join("acme/calls/manifests/dt=2024-01-01");
    let mut names: Vec<_> = std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let done = names.into_iter().rfind(|path| path.to_string_lossy().ends_with(".done.json"))?;
    let done: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(done).unwrap()).unwrap();
    Some(done["extract_sha256"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn under_random_faults_a_run_ends_exact_or_unpublished() {
    let seeds = std::env::var("CXLAKE_TEST_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100);
    let faultless = lab().await;
    faultless.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let expected = extract(&faultless);
    let mut exact = 0;
    for seed in 0..seeds {
        let lab = lab().await;
        // A few at a time, so that some runs come through.
        let mut random = Random(seed);
        let script = script(&mut random);
        let count = usize::try_from(1 + random.below(8)).unwrap();
        script.into_iter().take(count).for_each(|fault| lab.simulator.play(fault));
        let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]);
        match outcome.code {
            0 => {
                exact += 1;
                assert_eq!(extract(&lab), expected, "seed {seed}: {outcome:?}");
            }
            2 | 3 | 5 | 7 => assert_eq!(extract(&lab), None, "seed {seed}: {outcome:?}"),
            other => panic!("seed {seed} ended with {other}: {outcome:?}"),
        }
    }
    assert!(exact * 4 > seeds && exact < seeds, "{exact} of {seeds} came through");
}
