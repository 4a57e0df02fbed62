//! The main job on S3, and the scale of the issue: a week of 100,000 records a day.

use std::path::Path;

use chrono::{Days, NaiveDate};
use cxlake_simulator::TenantSettings;

use crate::main_job::contents;
use crate::support::{Lab, S3Server, python, tenant};

fn on_s3(lab: &mut Lab, server: &S3Server) {
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, "url = \"s3://lake/cxone\"");
    lab.add(&server.options());
}

/// Copies the lake from the server into a folder.
fn download(server: &S3Server, into: &Path) {
    python("download.py", &[&server.endpoint(), into.to_str().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_100_000_records_a_day_is_exact_on_a_local_folder_and_on_s3_and_the_same_twice() {
    let days: Vec<String> =
        (0..7).map(|day| ("2024-01-01".parse::<NaiveDate>().unwrap() + Days::new(day)).to_string()).collect();
    let week = ["run", "--from", "2024-01-01", "--to", "2024-01-08"];
    let mut lab = Lab::start(tenant(100_000)).await;
    lab.replace("page_records = 500", "page_records = 10000");
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["committed"; 7]);
    for day in &days {
        lab.compare_day(&lab.lake(), day, false);
    }
    let local = contents(&lab.lake().join("acme/calls"));
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["unchanged"; 7]);
    assert_eq!(contents(&lab.lake().join("acme/calls")), local);

    let server = S3Server::start();
    on_s3(&mut lab, &server);
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["committed"; 7]);
    assert_eq!(lab.cxlake(&week).expect(0).statuses(), ["unchanged"; 7]);
    let copy = lab.folder().join("copy");
    download(&server, &copy);
    assert!(contents(&copy.join("cxone/acme/calls")) == local, "the objects on S3 are not the local files");
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_a_lake_on_s3() {
    let mut lab = Lab::start(tenant(1_000)).await;
    let server = S3Server::start();
    on_s3(&mut lab, &server);
    let rows =
        lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).summary()["windows"][0]["rows"]["accepted"].clone();
    let seen = python("query_s3.py", &[&server.endpoint(), "s3://lake/cxone/acme/calls/data/**/*.parquet"]);
    assert_eq!(seen.trim(), rows.to_string());
    let checked = lab.cxlake(&["check"]).expect(0).stdout;
    assert!(
        checked.contains("ok    acme lake: large write: two parts were joined; large objects go up in one put"),
        "{checked}"
    );
    lab.simulator.change(|settings| settings.seed += 1);
    assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["committed"]);
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_on_s3_is_one_for_many_runs_and_rejects_are_replayed_there() {
    let settings = TenantSettings { bad_rules: vec!["enum".to_owned()], duplicate_every: 0, ..tenant(500) };
    let mut lab = Lab::start(settings).await;
    let server = S3Server::start();
    on_s3(&mut lab, &server);
    lab.replace("[tenants.acme.regions]", "registry_url = \"s3://lake/registry\"\n[tenants.acme.regions]");
    let runs: Vec<_> = (1..=4).map(|day| lab.begin(&["run", "--date", &format!("2024-01-0{day}")])).collect();
    for run in runs {
        run.end().expect(0);
    }
    assert_eq!(lab.cxlake(&["registry", "list"]).expect(0).stdout.lines().count(), 1);
    lab.simulator.change(|settings| settings.catalog[1].allowed_values = None);
    assert!(lab.cxlake(&["registry", "sync"]).expect(0).stdout.contains("wrote version 2"));
    let replay = ["quarantine", "replay", "--from", "2024-01-01", "--to", "2024-01-04"];
    let summary = lab.cxlake(&replay).expect(0).summary();
    let windows = summary["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 3, "the last day is not meant");
    for window in windows {
        assert_eq!((&window["status"], &window["rows"]["quarantined"]), (&"committed".into(), &0.into()), "{window}");
    }
    assert_eq!(lab.cxlake(&replay).expect(0).statuses(), ["unchanged"; 3]);
    lab.cxlake(&["verify"]).expect(0);
    let events = lab.cxlake(&["registry", "log", "--json"]).expect(0).stdout;
    assert_eq!(events.matches("\"kind\":\"constraints_changed\"").count(), 1, "{events}");
}
