//! The binary killed at any of its changes to files, and run again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use cxlake_simulator::TenantSettings;
use serde_json::json;

use crate::support::{FileFault, Lab, Outcome, count_changes, python, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(60) }
}

/// A lake of its own beside those of other points.
struct Point {
    folder: PathBuf,
    configuration: PathBuf,
}

impl Point {
    fn new(lab: &Lab, name: &str, lake_before: &Path) -> Self {
        let folder = lab.folder().join("points").join(name);
        std::fs::create_dir_all(folder.join("tmp")).unwrap();
        copy(lake_before, &folder.join("lake"));
        let configuration = folder.with_extension("toml");
        let lake = folder.join("lake");
        let text = lab.configuration().replace(&lab.lake().display().to_string(), &lake.display().to_string());
        std::fs::write(&configuration, text).unwrap();
        Self { folder, configuration }
    }

    fn command(&self, lab: &Lab, arguments: &[&str]) -> Command {
        let mut command = lab.command(arguments);
        command.arg("--config").arg(&self.configuration).env("TMPDIR", self.folder.join("tmp"));
        command
    }

    fn data(&self, name: &str) -> PathBuf {
        self.folder.join("lake/acme/calls").join(name)
    }

    /// What a reader saw at a moment.
    fn keep_what_is_seen(&self, moment: usize) {
        for kind in ["data", "quarantine"] {
            copy(&self.data(kind), &self.folder.join(format!("seen-{moment}")).join(kind));
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A lake with what a tenant had, and what it has now.
struct Scenario {
    name: &'static str,
    before: Option<fn(&mut TenantSettings)>,
    now: fn(&mut TenantSettings),
    /// Whether a run of what the tenant had in between was killed after its plan.
    interrupted: bool,
    /// What is killed, and run again.
    command: &'static [&'static str],
}

/// A restatement of what did not change.
const RESTATED: Scenario =
    Scenario { name: "restated", before: Some(|_| {}), now: |_| {}, interrupted: false, command: &RUN };

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "first", before: None, ..RESTATED },
    Scenario { name: "grows", now: |tenant| tenant.records_per_day = 90, ..RESTATED },
    Scenario { name: "shrinks", now: |tenant| tenant.records_per_day = 20, ..RESTATED },
    Scenario { name: "empties", now: |tenant| tenant.records_per_day = 0, ..RESTATED },
    Scenario { name: "rejects", now: |tenant| tenant.bad_every = 1, ..RESTATED },
    Scenario { name: "rolls-forward", now: |tenant| tenant.seed += 1, interrupted: true, ..RESTATED },
    Scenario {
        name: "replays",
        before: Some(|tenant| (tenant.bad_every, tenant.bad_rules) = (8, vec!["enum".to_owned()])),
        now: |tenant| tenant.catalog[1].allowed_values = None,
        command: &["quarantine", "replay", "--date", "2024-01-01"],
        ..RESTATED
    },
];

/// A lake whose newest plan has its quarantine published, and its data not.
fn half_replaced(lab: &Lab, base: &Point) -> PathBuf {
    let objects = |point: &Point| {
        let file = |kind: &str| format!("{kind}/dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet");
        ["quarantine", "data"].map(|kind| std::fs::read(point.data(&file(kind))).unwrap())
    };
    let [quarantine, data] = objects(base);
    for at in 1.. {
        let point = Point::new(lab, &format!("half-{at}"), &base.folder.join("lake"));
        let mut command = point.command(lab, &RUN);
        FileFault { at, how: "KILL" }.happen(&mut command, &point.folder.join("lake"));
        assert_eq!(Outcome::of(command).code, -1, "no run ended there");
        let [new_quarantine, new_data] = objects(&point);
        if new_quarantine != quarantine && new_data == data {
            return point.folder.join("lake");
        }
    }
    unreachable!()
}

/// Kills a run at every change, and where `pairs` says so the run after it too; then runs again.
async fn killed_and_run_again(scenario: &Scenario, pairs: bool) -> usize {
    let mut lab = Lab::start(small()).await;
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 100.0");
    let nothing = lab.folder().join("nothing");
    let base = Point::new(&lab, "base", &nothing);
    if let Some(before) = scenario.before {
        lab.simulator.change(before);
        Outcome::of(base.command(&lab, &RUN)).expect(0);
    }
    let mut lake = base.folder.join("lake");
    if scenario.interrupted {
        lab.simulator.change(|tenant| tenant.seed += 7);
        lake = half_replaced(&lab, &base);
    }
    lab.simulator.change(scenario.now);
    if scenario.command != RUN {
        Outcome::of(base.command(&lab, &["registry", "sync"])).expect(0);
    }
    let whole = Point::new(&lab, "whole", &lake);
    let changes = count_changes(whole.command(&lab, scenario.command), &whole.folder);
    assert!(changes > 20, "{changes}");

    let (next, killed_runs) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seconds = if pairs { (1..=changes).step_by(1 + changes as usize / 8).map(Some).collect() } else { vec![None] };
    let kills: Vec<Vec<u64>> = (1..=changes)
        .flat_map(|first| seconds.iter().map(move |second| [Some(first), *second].into_iter().flatten().collect()))
        .collect();
    let try_next = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(kills) = kills.get(number) else { break };
            let point = Point::new(&lab, &format!("{number:05}"), &lake);
            for (moment, at) in kills.iter().enumerate() {
                let mut command = point.command(&lab, scenario.command);
                FileFault { at: *at, how: "KILL" }.happen(&mut command, &point.folder);
                let killed = Outcome::of(command);
                // No two runs make exactly the same changes, so the last may be beyond the end.
                assert!([-1, 0].contains(&killed.code), "{}: {killed:?}", scenario.name);
                killed_runs.fetch_add(usize::from(killed.code == -1), Ordering::Relaxed);
                point.keep_what_is_seen(moment);
            }
            Outcome::of(point.command(&lab, scenario.command)).expect(0);
            Outcome::of(point.command(&lab, &["verify"])).expect(0);
            // But for a folder that was not locked yet, which could be a run's that just begins.
            let left = std::fs::read_dir(point.folder.join("tmp")).unwrap().map(|folder| folder.unwrap().path());
            let files = left.flat_map(|folder| std::fs::read_dir(folder).unwrap()).count();
            // A replay that has nothing to do makes no folder, and looks for none.
            assert!(files <= 1 || scenario.command != RUN, "the next run removes what is left: {files}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(try_next);
        }
    });
    if scenario.command == RUN {
        lab.compare_day(&whole.folder.join("lake"), "2024-01-01", false);
    } else {
        assert_eq!(Outcome::of(whole.command(&lab, &["quarantine", "list"])).expect(0).stdout, "0 rejects\n");
    }
    let expected = json!({ "points": kills.len(), "times": kills[0].len(), "has_before": scenario.before.is_some() });
    std::fs::write(lab.folder().join("points/expected.json"), expected.to_string()).unwrap();
    python("kills.py", &[lab.folder().join("points").to_str().unwrap()]);
    killed_runs.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_anywhere_is_made_right_by_the_next() {
    let all = std::env::var("CXLAKE_TEST_POINTS").is_ok_and(|points| points == "all");
    let mut killed = 0;
    for scenario in &SCENARIOS {
        killed += killed_and_run_again(scenario, all).await;
    }
    println!("{killed} runs were killed");
    assert!(killed >= if all { 3_000 } else { 300 }, "{killed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_or_read_only_leaves_what_was_there() {
    let mut lab = Lab::start(small()).await;
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 100.0");
    let base = Point::new(&lab, "base", &lab.folder().join("nothing"));
    Outcome::of(base.command(&lab, &RUN)).expect(0);
    lab.simulator.change(|tenant| tenant.records_per_day = 90);
    let lake = base.folder.join("lake");
    let whole = Point::new(&lab, "whole", &lake);
    let changes = count_changes(whole.command(&lab, &RUN), &whole.folder);
    let mut tried = 0;
    for (how, below) in [("ENOSPC", ""), ("ENOSPC", "tmp"), ("EROFS", "lake")] {
        for at in 1..=changes {
            let point = Point::new(&lab, &format!("{tried:05}"), &lake);
            let mut command = point.command(&lab, &RUN);
            FileFault { at, how }.happen(&mut command, &point.folder.join(below));
            let outcome = Outcome::of(command);
            // What cannot be told or tidied up fails no run.
            if outcome.code != 0 {
                assert_eq!(outcome.code, 5, "{how} at {at}: {outcome:?}");
                let words = if how == "ENOSPC" { "No space left" } else { "Read-only" };
                assert!(outcome.message().contains(words), "{how} at {at}: {}", outcome.message());
                tried += 1;
                point.keep_what_is_seen(0);
                Outcome::of(point.command(&lab, &RUN)).expect(0);
            } else {
                std::fs::remove_dir_all(&point.folder).unwrap();
            }
        }
    }
    assert!(tried > 50, "{tried}");
    let expected = json!({ "points": tried, "times": 1, "has_before": true });
    std::fs::write(lab.folder().join("points/expected.json"), expected.to_string()).unwrap();
    python("kills.py", &[lab.folder().join("points").to_str().unwrap()]);
}
