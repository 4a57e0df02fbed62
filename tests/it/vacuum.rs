//! What interrupted and replaced runs leave behind, and that nothing else goes.

use cxlake_simulator::TenantSettings;

use crate::support::{FileFault, Lab, Outcome, S3Server, python, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];
const ALL: [&str; 3] = ["vacuum", "--older-than-hours", "0"];

fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, ..tenant(100) }
}

/// Everything in the lake, by its path.
fn files(lab: &Lab) -> Vec<String> {
    let found = std::process::Command::new("find").args([".", "-type", "f"]).current_dir(lab.lake()).output().unwrap();
    let mut files: Vec<String> = String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_over_is_shown_then_removed_and_nothing_else() {
    let lab = Lab::start(small()).await;
    lab.cxlake(&RUN).expect(0);
    // Runs that were killed at any change, and a restatement.
    for at in (1..40).rev() {
        lab.simulator.change(|tenant| tenant.seed += 1);
        let mut command = lab.command(&RUN);
        FileFault { at, how: "KILL" }.happen(&mut command, &lab.lake());
        Outcome::of(command);
    }
    lab.cxlake(&RUN).expect(0);
    let unnamed = lab.lake().join("acme/calls/manifests/dt=2024-01-01/some.json#1");
    std::fs::write(&unnamed, "{").unwrap();
    for folder in ["runs", "registry", "metric_catalog"] {
        std::fs::write(lab.lake().join("acme").join(folder).join("some.json#1"), "{").unwrap();
    }
    let before = files(&lab);
    let young = lab.cxlake(&["vacuum"]).expect(0).stdout;
    assert_eq!(young, "removed 0\n", "a run may be on its way");
    let shown = lab.cxlake(&[&ALL[..], &["--dry-run"]].concat()).expect(0).stdout;
    assert_eq!(files(&lab), before);
    for kind in ["(staging, ", "(superseded plan, ", "(unnamed file, "] {
        assert!(shown.contains(kind), "{shown}");
    }
    for folder in ["runs", "registry", "metric_catalog"] {
        assert!(shown.contains(&format!("would remove  acme/{folder}/some.json#1  (unnamed file, ")), "{shown}");
    }
    assert!(
        !shown.contains("/data/") && !shown.contains("/quarantine/") && !shown.contains(".done.json  ("),
        "{shown}"
    );
    let removed = lab.cxlake(&ALL).expect(0).stdout;
    assert_eq!(removed, shown.replace("would remove", "removed"));
    let after = files(&lab);
    // The newest done and its plan stay.
    let newest = after.iter().filter(|file| file.ends_with(".done.json")).max().unwrap();
    assert!(after.contains(&newest.replace(".done.json", ".plan.json")), "{after:?}");
    let gone = before.iter().filter(|file| !after.contains(file)).count();
    assert_eq!((gone, removed.lines().count()), (before.len() - after.len(), gone + 1));
    let verified = lab.cxlake(&["verify"]).expect(0).stdout;
    assert!(!verified.contains("note"), "{verified}");
    lab.compare_day(&lab.lake(), "2024-01-01", false);
    assert_eq!(lab.cxlake(&ALL).expect(0).stdout, "removed 0\n");
    assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["unchanged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn vacuum_at_the_same_time_harms_no_run() {
    let lab = Lab::start(TenantSettings { latency_ms: 10, ..small() }).await;
    // The first write proves the store, with objects that must not go meanwhile.
    lab.cxlake(&RUN).expect(0);
    for _ in 0..10 {
        lab.simulator.change(|tenant| tenant.seed += 1);
        let run = lab.begin(&RUN);
        let mut vacuums = 0;
        let mut run = Some(run);
        while run.as_mut().is_some_and(|run| !run.has_ended()) {
            lab.cxlake(&ALL).expect(0);
            vacuums += 1;
        }
        assert!(vacuums > 0);
        let outcome = run.take().unwrap().end();
        // With no safety age a file on its way may go: then the run says so, and nothing is half done.
        assert!([0, 5].contains(&outcome.code), "{outcome:?}");
        lab.cxlake(&RUN).expect(0);
        lab.cxlake(&["verify"]).expect(0);
    }
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_were_never_ended_go_too() {
    let mut lab = Lab::start(small()).await;
    let server = S3Server::start();
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, "url = \"s3://lake/cxone\"");
    lab.add(&server.options());
    lab.cxlake(&RUN).expect(0);
    let begun = python("begin_upload.py", &[&server.endpoint(), "cxone/acme/calls/data/dt=2024-01-01/x.parquet"]);
    let shown = lab.cxlake(&ALL).expect(0).stdout;
    assert!(shown.contains("removed  acme/calls/data/dt=2024-01-01/x.parquet  (upload, "), "{begun} {shown}");
    assert_eq!(lab.cxlake(&ALL).expect(0).stdout, "removed 0\n");
    lab.cxlake(&["verify"]).expect(0);
}
