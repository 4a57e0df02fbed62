//! For analysts: views with the names that people know, and the table of metrics.

use std::path::PathBuf;

use cxlake_simulator::TenantSettings;

use crate::support::{Lab, S3Server, python, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

fn clean() -> TenantSettings {
    TenantSettings { bad_every: 7, duplicate_every: 0, unknown_every: 0, ..tenant(140) }
}

/// The views of an engine, in a file.
fn views(lab: &Lab, engine: &str) -> PathBuf {
    let file = lab.folder().join(format!("{engine}.sql"));
    std::fs::write(&file, lab.cxlake(&["sql", engine]).expect(0).stdout).unwrap();
    file
}

fn query(lab: &Lab, sql: &str) -> String {
    python("views.py", &[&views(lab, "duckdb").display().to_string(), sql])
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_shows_the_lake_under_the_names_that_people_know() {
    let mut lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    let raw = "read_parquet('PATH/acme/calls/data/**/*.parquet')".replace("PATH", &lab.lake().display().to_string());
    let same = format!(
        "SELECT (SELECT count(*) || '|' || sum(sentiment_confidence_score) FROM calls) = (SELECT count(*) || '|' || \
         sum(cm_9f8e7d6c5b4a3210) FROM {raw}), (SELECT count(*) > 0 FROM calls_quarantine), typeof(dt) FROM calls LIMIT 1"
    );
    assert_eq!(query(&lab, &same), "True|True|DATE\n");
    let comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'calls' AND column_name = \
                   'sentiment_confidence_score'";
    let comment = query(&lab, comment);
    assert!(comment.starts_with("Sentiment Confidence Score (cm_9f8e7d6c5b4a3210), decimal(9,6)"), "{comment}");
    // A metric that has another type now has a column of each, side by side, before any file has it.
    lab.replace("type = \"decimal(9,6)\"", "type = \"string\"");
    lab.cxlake(&["registry", "sync"]).expect(0);
    let names = "SELECT column_name FROM duckdb_columns() WHERE table_name = 'calls' AND column_name LIKE \
                 'sentiment_confidence%' ORDER BY column_index";
    assert_eq!(query(&lab, names), "sentiment_confidence_score\nsentiment_confidence_score__string\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_committed_yet_has_no_view_and_two_views_never_have_one_name() {
    let mut lab = Lab::start(clean()).await;
    let again = lab.report_again("calls_quarantine");
    lab.add(&again);
    lab.cxlake(&["registry", "sync"]).expect(0);
    let nothing = lab.cxlake(&["sql", "duckdb", "--report", "calls"]).expect(0).stdout;
    assert!(nothing.contains("-- No view of reports.calls: nothing of it is in the lake yet."), "{nothing}");
    assert!(!nothing.contains("acme/calls/"), "{nothing}");
    lab.cxlake(&[&RUN[..], &["--report", "calls"]].concat()).expect(0);
    assert_eq!(query(&lab, "SELECT count(*) > 0 FROM calls"), "True\n");
    lab.cxlake(&[&RUN[..], &["--report", "calls_quarantine"]].concat()).expect(0);
    let refused = lab.cxlake(&["sql", "duckdb"]).expect(2).complaint();
    assert!(refused.contains("reports.calls and reports.calls_quarantine both need \"calls_quarantine\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metric_catalog_has_the_names_of_every_version() {
    let lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|settings| settings.catalog[0].display_name = "Another Name".to_owned());
    lab.cxlake(&RUN).expect(0);
    let id = lab.simulator.settings().catalog[0].id.clone();
    let names =
        format!("SELECT registry_version, display_name FROM acme_metric_catalog WHERE metric_id = '{id}' ORDER BY ALL");
    let shown = query(&lab, &names);
    assert!(shown.lines().count() == 2 && shown.ends_with("2|Another Name\n"), "{shown}");
    let all = query(&lab, "SELECT count(*) >= 2, bool_and(column_name LIKE metric_id || '%') FROM acme_metric_catalog");
    assert_eq!(all, "True|True\n");
    // One that is gone is written again by the next run, byte for byte.
    let file = lab.lake().join("acme/metric_catalog/v0002.parquet");
    let written = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    lab.cxlake(&RUN).expect(0);
    assert_eq!(std::fs::read(&file).unwrap(), written);
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_display_name_cannot_break_out_of_a_view() {
    let lab = Lab::start(clean()).await;
    lab.simulator.change(|settings| {
        settings.catalog[0].display_name = "x'); DROP TABLE calls; --\n\"`\\".to_owned();
        settings.catalog[1].display_name = "Agent ID".to_owned();
    });
    lab.cxlake(&RUN).expect(0);
    assert_eq!(query(&lab, "SELECT count(x_drop_table_calls) <= count(*) FROM calls"), "True\n");
}

/// No Athena runs here: its statements are read as its grammar has them, and DuckDB does what they say.
#[tokio::test(flavor = "multi_thread")]
async fn athena_shows_the_lake_under_the_names_that_people_know() {
    let server = S3Server::start();
    let lab = Lab::on_store(clean(), "s3://lake/cxone", &server.options()).await;
    lab.cxlake(&RUN).expect(0);
    let file = views(&lab, "athena").display().to_string();
    let show = |sql: &str| python("athena.py", &[&file, &server.endpoint(), sql]);
    let raw = "SELECT count(*), sum(cm_9f8e7d6c5b4a3210), min(dt) FROM calls";
    let shown = "SELECT count(*), sum(sentiment_confidence_score), min(dt) FROM calls_view";
    assert_eq!(show(shown), show(raw));
    assert!(show(shown).starts_with("120|") && show(shown).ends_with("|2024-01-01\n"), "{}", show(shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_engine_cannot_read_is_said() {
    let lab = Lab::start(clean()).await;
    let empty = lab.cxlake(&["sql", "duckdb"]).expect(2);
    assert!(empty.complaint().contains("its registry is empty"), "{}", empty.complaint());
    lab.cxlake(&RUN).expect(0);
    assert!(lab.cxlake(&["sql", "athena"]).expect(2).complaint().contains("reads S3 only"));
    assert!(lab.cxlake(&["sql", "bigquery"]).expect(2).complaint().contains("load = [\"NAME\"]"));
}
