//! Several runs at once: of one window, of neighbours, one that sleeps while another goes by.

use cxlake_simulator::{Effect, TenantSettings};
use serde_json::Value;

use crate::support::faults::on_page;
use crate::support::{FileFault, Lab, Outcome, Running, count_changes, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, latency_ms: 20, ..tenant(300) }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_one_window_at_once_end_in_one_of_them() {
    for count in [2, 3] {
        let lab = Lab::start(small()).await;
        for _ in 0..5 {
            lab.simulator.change(|tenant| tenant.seed += 1);
            let runs: Vec<Running> = (0..count).map(|_| lab.begin(&RUN)).collect();
            let outcomes: Vec<Outcome> = runs.into_iter().map(Running::end).collect();
            let codes: Vec<i32> = outcomes.iter().map(|outcome| outcome.code).collect();
            assert!(codes.contains(&0) && codes.iter().all(|code| [0, 9].contains(code)), "{outcomes:?}");
            // One may commit while another, with a higher number, is about to: the highest is what stays.
            let well = outcomes.iter().filter(|outcome| outcome.code == 0);
            let statuses: Vec<String> = well.flat_map(Outcome::statuses).collect();
            assert!(statuses.iter().any(|status| status == "committed"), "{statuses:?}");
            lab.cxlake(&["verify"]).expect(0);
            lab.compare_day(&lab.lake(), "2024-01-01", false);
            assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["unchanged"]);
        }
    }
}

/// A run of the day that published while one of an hour read: its records would be there twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_with_other_borders_published_meanwhile_is_seen_before_publishing() {
    let mut lab = Lab::start(small()).await;
    lab.replace("page_records = 500", "page_records = 500\nwindow = \"hour\"");
    lab.simulator.play(on_page(0, Effect::Slow { delay_ms: 2_000 }));
    let run = lab.begin(&["run", "--window", "2024-01-01T05:00:00Z/2024-01-01T06:00:00Z"]);
    lab.wait_for_pages(1);
    let report = lab.lake().join("acme/calls");
    for (folder, name) in [("manifests", "-000001.plan.json"), ("quarantine", ".parquet")] {
        let folder = report.join(folder).join("dt=2024-01-01");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("20240101T050000Z-20240102T050000Z{name}")), "{}").unwrap();
    }
    let outcome = run.end().expect(2);
    assert!(outcome.message().contains("an interrupted run of the window"), "{}", outcome.message());
    assert!(!report.join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_of_neighbouring_windows_do_not_meet() {
    let lab = Lab::start(small()).await;
    let days = ["2024-01-01", "2024-01-02", "2024-01-03"];
    let runs: Vec<Running> = days.iter().map(|day| lab.begin(&["run", "--date", day])).collect();
    for run in runs {
        assert_eq!(run.end().expect(0).statuses(), ["committed"]);
    }
    for day in days {
        lab.compare_day(&lab.lake(), day, false);
    }
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_sleeps_anywhere_while_another_goes_by_changes_nothing_when_it_wakes() {
    let mut lab = Lab::start(TenantSettings { latency_ms: 0, ..small() }).await;
    // Row groups go to the disk once the window is read and before it is planned.
    lab.add("[lake.parquet]\nrow_group_rows = 50\n");
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|tenant| tenant.seed += 1);
    // Its temporary files too: between reading and planning there is nothing else to stop at.
    let temporary = lab.folder().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let command = || {
        let mut command = lab.command(&RUN);
        command.env("TMPDIR", &temporary);
        command
    };
    let changes = count_changes(command(), lab.folder());
    let (mut superseded, mut locked) = (0, 0);
    for at in 1..=changes {
        lab.simulator.change(|tenant| tenant.seed += 1);
        let mut command = command();
        FileFault { at, how: "STOP" }.happen(&mut command, lab.folder());
        let mut sleeper = Running::start(command);
        // The last changes may not come: then it just ends.
        while !sleeper.has_ended() && !is_stopped(sleeper.id()) {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        if sleeper.has_ended() {
            sleeper.end().expect(0);
            continue;
        }
        // What the sleeper has read is old when it wakes.
        lab.simulator.change(|tenant| tenant.seed += 1);
        let successor = lab.cxlake(&RUN);
        let newest = newest_done(&lab);
        sleeper.signal("CONT");
        let outcome = sleeper.end();
        if successor.code != 0 {
            // It sleeps with the window's lock: nobody goes by, and nobody waits for ever.
            assert!(successor.expect(5).message().contains("holds the window's lock"), "at {at}");
            assert_eq!(outcome.expect(0).statuses(), ["committed"]);
            assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["committed"]);
            lab.cxlake(&["verify"]).expect(0);
            locked += 1;
            continue;
        }
        // Asleep before it read the window it finds nothing new; else it was superseded.
        assert!([0, 9].contains(&outcome.code), "at {at}: {outcome:?}");
        superseded += u32::from(outcome.code == 9);
        assert_eq!(newest_done(&lab), newest, "at {at}: {outcome:?}");
        lab.cxlake(&["verify"]).expect(0);
        // The lake has what the tenant has now, whoever was last.
        assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["unchanged"], "at {at}: {outcome:?}");
    }
    assert!(superseded > 5 && locked <= 2, "{superseded} {locked}");
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

fn is_stopped(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// The name of the window's newest done.
fn newest_done(lab: &Lab) -> Option<String> {
    let manifests = std::fs::read_dir(lab.lake().join("acme/calls/manifests/dt=2024-01-01")).unwrap();
    let names = manifests.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".done.json")).max()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_month_goes_on_where_it_stopped() {
    let lab = Lab::start(TenantSettings { latency_ms: 30, ..small() }).await;
    let month = ["run", "--from", "2024-01-01", "--to", "2024-02-01"];
    let run = lab.begin(&month);
    lab.wait_for_pages(8);
    let begun = std::time::Instant::now();
    run.signal("TERM");
    let summary = run.end().expect(143).summary();
    assert!(begun.elapsed().as_secs() < 30);
    let count = |summary: &Value, status: &str| {
        summary["windows"].as_array().unwrap().iter().filter(|window| window["status"] == status).count()
    };
    let committed = count(&summary, "committed");
    assert!((1..31).contains(&committed), "{summary}");
    // Nothing of the window that was on its way is visible.
    let files = std::fs::read_dir(lab.lake().join("acme/calls/data")).unwrap().count();
    assert_eq!(files, committed);
    lab.cxlake(&["verify"]).expect(0);
    lab.simulator.clear_calls();
    let summary = lab.cxlake(&[&month[..], &["--skip-committed"]].concat()).expect(0).summary();
    assert_eq!((count(&summary, "unchanged"), count(&summary, "committed")), (committed, 31 - committed));
    let calls = lab.simulator.calls();
    let was_asked = |start: &str| calls.iter().any(|call| call.body.contains(&format!("\"from\":\"{start}")));
    for window in summary["windows"].as_array().unwrap() {
        let day = window["window"]["start"].as_str().unwrap().trim_end_matches('Z');
        assert_eq!(was_asked(day), window["status"] == "committed", "{window}");
    }
    for day in ["2024-01-01", "2024-01-31"] {
        lab.compare_day(&lab.lake(), day, false);
    }
}
