//! The main job on S3, and the scale of the issue: a week of 100,000 records a day.

use std::path::Path;

use chrono::{Days, NaiveDate};

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
    assert!(checked.contains("ok    acme lake: large write: two parts were joined"), "{checked}");
    lab.simulator.change(|settings| settings.seed += 1);
    assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["committed"]);
    lab.cxlake(&["verify"]).expect(0);
}
