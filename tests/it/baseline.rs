//! A window's totals against a file, and against a second request, before it is published.

use cxlake_simulator::{CallKind, Effect, Fault, TenantSettings};
use serde_json::Value;

use crate::support::{Lab, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// A tenant whose rejects have values outside their rules, and of other types.
fn small() -> TenantSettings {
    TenantSettings { duplicate_every: 0, unknown_every: 0, bad_every: 9, ..tenant(300) }
}

/// The sum of a number over all records of the day, as the tenant has them, and how many it can say.
fn true_total(lab: &Lab, field: &str) -> (f64, u64) {
    let records: Vec<Value> =
        lab.truth("2024-01-01", "2024-01-02").filter_map(|record| serde_json::from_str(&record.raw).ok()).collect();
    let total = records.iter().filter_map(|record: &Value| record[field].as_f64()).sum();
    (total, lab.truth("2024-01-01", "2024-01-02").count() as u64)
}

fn with_baseline(lab: &mut Lab, settings: &str) {
    lab.add(&format!("\n[reports.calls.baseline]\n{settings}\n"));
}

fn nothing_is_published(lab: &Lab) {
    assert!(!lab.lake().join("acme/calls/data/dt=2024-01-01").exists());
    assert!(!lab.lake().join("acme/calls/manifests/dt=2024-01-01").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn totals_of_a_file_must_be_those_of_the_window() {
    let clean = TenantSettings { bad_every: 0, ..small() };
    let mut lab = Lab::start(clean).await;
    let (duration, records) = true_total(&lab, "duration");
    let duration = (duration * 1e6).round() / 1e6;
    let (hold, _) = true_total(&lab, "holdTime");
    // As reports are exported: other names, grouped thousands, several rows a day, other days.
    let half = (duration / 2.0).floor();
    let file = lab.folder().join("totals.csv");
    let write = |duration: f64| {
        let rest = duration - half;
        let text = format!(
            "Date,Interactions,Handle Time,holdTime,Queue\n2024-01-01,{records},{half},{hold},one\n2024-01-01,0,{rest},,two\n2024-01-02,1,\"1,234,567\",9,one\n"
        );
        std::fs::write(&file, text).unwrap();
    };
    let columns =
        "date_column = \"Date\"\nrecords_column = \"Interactions\"\ncolumns = { \"Handle Time\" = \"duration\" }";
    with_baseline(&mut lab, &format!("file = \"{}\"\n{columns}", file.display()));
    lab.cxlake(&RUN).expect(2);
    write(duration + 3.0);
    let outcome = lab.cxlake(&RUN).expect(6);
    let expected = format!("duration: expected {}, found {duration}, difference -3", duration + 3.0);
    assert!(outcome.message().contains(&expected), "{} {expected}", outcome.message());
    assert!(!outcome.message().contains("holdTime:"), "{}", outcome.message());
    nothing_is_published(&lab);
    lab.replace("records_column", "tolerance_percent = 1.0\nrecords_column");
    lab.cxlake(&RUN).expect(0);
    lab.replace("tolerance_percent = 1.0\n", "");
    write(duration);
    lab.cxlake(&RUN).expect(0);
    // A day that the file does not have proves nothing.
    let outcome = lab.cxlake(&["run", "--date", "2024-01-03"]).expect(6);
    assert!(outcome.message().contains("no total of this window"), "{}", outcome.message());

    let json = lab.folder().join("totals.json");
    let row = format!(r#"[{{"date": "2024-01-01T05:00:00Z", "records": {}, "Duration": 1}}]"#, records + 1);
    std::fs::write(&json, row).unwrap();
    let configuration = lab.configuration().to_owned();
    let from = configuration.find("[reports.calls.baseline]").unwrap();
    let baseline = configuration[from..].to_owned();
    lab.replace(&baseline, &format!("[reports.calls.baseline]\nfile = \"{}\"\n", json.display()));
    let message = lab.cxlake(&RUN).expect(6).message();
    assert!(
        message.contains(&format!("records: expected {}, found {records}, difference -1", records + 1)),
        "{message}"
    );
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_request_without_the_key_gives_the_totals_too() {
    let mut lab = Lab::start(small()).await;
    with_baseline(&mut lab, "aggregate = true");
    // What is quarantined counts too, as far as it can be read.
    lab.simulator.change(|tenant| tenant.bad_rules = vec!["enum".to_owned(), "pattern".to_owned()]);
    let outcome = lab.cxlake(&RUN).expect(0);
    assert!(outcome.summary()["windows"][0]["rows"]["quarantined"].as_u64().unwrap() > 10);
    let calls = lab.simulator.calls();
    let asks =
        |call: &&cxlake_simulator::Call| call.path.ends_with("data-download") && !call.body.contains("interactionId");
    let totals: Vec<_> = calls.iter().filter(asks).collect();
    assert!(!totals.is_empty() && totals.iter().all(|call| !call.body.contains("startTime")));

    let mut lab = Lab::start(TenantSettings { bad_rules: vec!["type".to_owned()], ..small() }).await;
    with_baseline(&mut lab, "aggregate = true");
    let outcome = lab.cxlake(&RUN);
    // Texts in the place of numbers are in no sum of ours nor, as JSON, of the tenant's: they match, and
    // it is told how many could not be read.
    assert!(outcome.expect(0).stderr.contains("quarantined records could not be read"));
    // A day without a call has totals of 0.
    let mut lab = Lab::start(TenantSettings { records_per_day: 0, ..small() }).await;
    with_baseline(&mut lab, "aggregate = true");
    assert_eq!(lab.cxlake(&RUN).expect(0).statuses(), ["empty"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_tenant_has_grouped_are_added_up() {
    let mut lab = Lab::start(TenantSettings { bad_every: 0, ..small() }).await;
    lab.replace("metrics = [\"duration\", \"holdTime\", \"wrapUpTime\", \"talkTime\"]", "metrics = [\"duration\"]");
    lab.replace("custom_metrics = \"*\"", "custom_metrics = []");
    with_baseline(&mut lab, "aggregate = true");
    let (duration, _) = true_total(&lab, "duration");
    // The first request is the extract's, the second that for the totals: a row an agent.
    let grouped = |total: f64| {
        let row = |agent: &str, sum: f64| format!(r#"{{"agentId":"{agent}","dispositionCode":"X","duration":{sum}}}"#);
        let rows = [row("one", 10.0), row("two", total - 10.0)].join(",");
        let text = format!(r#"{{"totalRecords":2,"returnedRecords":2,"data":[{rows}]}}"#);
        Fault { skip: 1, ..Fault::new(CallKind::DataDownload, Effect::Body { text }) }
    };
    lab.simulator.play(grouped(duration + 5.0));
    let message = lab.cxlake(&RUN).expect(6).message();
    assert!(message.contains("duration: expected ") && message.contains(", difference -5"), "{message}");
    nothing_is_published(&lab);
    lab.simulator.play(grouped(duration));
    lab.cxlake(&RUN).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_group_by_are_no_totals() {
    let mut lab = Lab::start(TenantSettings { bad_every: 0, ..small() }).await;
    lab.replace("[reports.calls.columns]", "[reports.calls.columns]\nagentId = { type = \"string\" }");
    let (duration, _) = true_total(&lab, "duration");
    let file = lab.folder().join("totals.csv");
    // `agent_id` is a column of the report and of the file, and no metric.
    std::fs::write(&file, format!("date,duration,agent_id\n2024-01-01,{duration},17\n")).unwrap();
    with_baseline(&mut lab, &format!("file = \"{}\"", file.display()));
    lab.cxlake(&RUN).expect(0);
    // Of hours a row a day says nothing.
    lab.replace("page_records = 500", "page_records = 500\nwindow = \"hour\"");
    let local = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&local, "url = \"hours\"");
    let hour = ["run", "--window", "2024-01-01T12:00:00Z/2024-01-01T13:00:00Z"];
    assert!(lab.cxlake(&hour).expect(6).message().contains("no total of this window"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_never_makes_a_gate_that_lets_everything_through() {
    let total = |header: &str, row: &str| format!("{header}\n2024-01-01,300,{row}\n");
    for (text, settings, code, message) in [
        (total("date,records,Time", "1"), "columns = { \"Time\" = \"durration\" }", 2, "\"durration\" is no metric"),
        (total("date,records,Time", "1"), "columns = { \"Tme\" = \"duration\" }", 2, "no column \"Tme\""),
        (total("date,records,Time", "1"), "records_column = \"Count\"", 2, "no column \"Count\""),
        (total("date,records,Time", "1"), "date_column = \"day\"", 2, "no column \"day\""),
        (
            total("date,records,A,B", "1,2"),
            "columns = { A = \"duration\", B = \"duration\" }",
            2,
            "both \"A\" and \"B\" are columns",
        ),
        (total("date,records,Time", "\"1.234,50\""), "columns = { \"Time\" = \"duration\" }", 6, "is no number"),
        (total("date,records,duration", "inf"), "", 6, "is no number"),
    ] {
        let mut lab = Lab::start(TenantSettings { bad_every: 0, ..small() }).await;
        let file = lab.folder().join("totals.csv");
        std::fs::write(&file, text).unwrap();
        with_baseline(&mut lab, &format!("file = \"{}\"\n{settings}", file.display()));
        let found = lab.cxlake(&RUN).expect(code).message();
        assert!(found.contains(message), "{found}");
        nothing_is_published(&lab);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baseline_that_makes_no_sense_is_refused() {
    for (settings, message) in [
        ("tolerance_percent = 1.0", "it needs one source"),
        ("file = \"a.csv\"\naggregate = true", "it needs one source"),
        ("aggregate = true\ntolerance_percent = 101.0", "expected 0 to 100"),
        ("fil = \"a.csv\"", "unknown key"),
        ("file = \"nowhere.csv\"", "nowhere.csv"),
    ] {
        let mut lab = Lab::start(small()).await;
        with_baseline(&mut lab, settings);
        let found = lab.cxlake(&RUN).expect(2).message();
        assert!(found.contains(message), "{found}");
    }
}
