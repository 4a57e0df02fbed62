//! `check`, `plan` and `verify`.

use cxlake_simulator::{CallKind, Effect, Fault, Quota, TenantSettings};

use crate::support::{Lab, Outcome, tenant};

#[tokio::test(flavor = "multi_thread")]
async fn check_proves_that_a_run_can_work() {
    let lab = Lab::start(tenant(100)).await;
    insta::assert_snapshot!(lab.cxlake(&["check"]).expect(0).stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_what_is_missing() {
    let mut settings = tenant(100);
    settings.permissions.remove(0);
    let lab = Lab::start(settings).await;
    let forbidden = Effect::Status { code: 403, headers: Vec::new(), body: r#"{"message":"no scope"}"#.to_owned() };
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::CustomMetrics, forbidden) });
    insta::assert_snapshot!(lab.cxlake(&["check"]).expect(3).stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_a_report_that_the_tenant_refuses() {
    let mut lab = Lab::start(tenant(100)).await;
    let again = lab.report_again("other");
    lab.add(&again);
    let refusal = Effect::Status { code: 403, headers: Vec::new(), body: r#"{"message":"not enabled"}"#.to_owned() };
    lab.simulator.play(Fault { times: 1, ..Fault::new(CallKind::DataDownload, refusal) });
    let told = lab.cxlake(&["check"]).expect(3).stdout;
    assert!(told.contains("FAIL  acme data download of calls: failed to read a page"), "{told}");
    assert!(told.contains("and the Data Download API enabled for the tenant"), "{told}");
    assert!(told.contains("ok    acme data download of other: the tenant answers"), "{told}");
}

/// Once nobody asks for its metric it is in nobody's way.
#[tokio::test(flavor = "multi_thread")]
async fn check_names_a_pattern_that_cannot_be_checked() {
    let mut lab = Lab::start(tenant(100)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let id = lab.simulator.settings().catalog[1].id.clone();
    lab.simulator.change(|settings| settings.catalog[1].pattern = Some("(?=a)b".to_owned()));
    let told = lab.cxlake(&["check"]).expect(2).stdout;
    assert!(told.contains(&format!("FAIL  acme rules of calls: failed to compile the rules of {id}")), "{told}");
    lab.cxlake(&["run", "--date", "2024-01-02"]).expect(2);
    lab.replace("custom_metrics = \"*\"", "custom_metrics = [\"cm_9f8e7d6c5b4a3210\"]");
    lab.cxlake(&["check"]).expect(0);
    lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn check_fails_where_the_quota_is_spent() {
    let quota = Some(Quota { limit: 1000, remaining: 0, reset_at: "2099-01-01T00:00:00Z".to_owned() });
    let lab = Lab::start(TenantSettings { quota, ..tenant(100) }).await;
    let told = lab.cxlake(&["check"]).expect(5).stdout;
    assert!(told.contains("FAIL  acme quota: "), "{told}");
    // It would wait for the quota's reset.
    assert!(!told.contains("data download"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_tells_what_a_run_would_do_and_writes_nothing() {
    let mut settings = tenant(1_200);
    settings.quota = Some(Quota { limit: 1000, remaining: 900, reset_at: "2024-02-01T00:00:00Z".to_owned() });
    let lab = Lab::start(settings).await;
    let planned = lab.cxlake(&["plan", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0).stdout;
    let (told, end) = planned.trim_end().rsplit_once(' ').unwrap();
    assert!(end.parse::<chrono::DateTime<chrono::Utc>>().is_ok(), "{end}");
    insta::assert_snapshot!(told.replace(lab.lake().to_str().unwrap(), "…"));
    assert!(!lab.lake().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_lists_every_finding() {
    let lab = Lab::start(tenant(300)).await;
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0);
    let data = lab.lake().join("acme/calls/data");
    let first = data.join("dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet");
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    std::fs::remove_file(data.join("dt=2024-01-02/20240102T050000Z-20240103T050000Z.parquet")).unwrap();
    std::fs::write(data.join("dt=2024-01-02/stray.parquet"), "").unwrap();
    let found = lab.cxlake(&["verify"]).expect(10).stdout;
    let kinds = ["its sha256 is", "missing", "no manifest names it", "2 windows"];
    assert_eq!(found.lines().count(), kinds.len(), "{found}");
    for (line, kind) in found.lines().zip(kinds) {
        assert!(line.contains(kind), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_knows_the_columns_and_reads_a_sample() {
    let lab = Lab::start(tenant(300)).await;
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-04"]).expect(0);
    let last = |outcome: Outcome| outcome.stdout.lines().last().unwrap().to_owned();
    assert!(last(lab.cxlake(&["verify"]).expect(0)).contains("3 windows, 6 objects read"));
    assert!(last(lab.cxlake(&["verify", "--sample", "1"]).expect(0)).contains("3 windows, 2 objects read"));
    // Presence and length are looked at everywhere.
    let data = lab.lake().join("acme/calls/data/dt=2024-01-02/20240102T050000Z-20240103T050000Z.parquet");
    let whole = std::fs::read(&data).unwrap();
    std::fs::write(&data, &whole[..whole.len() - 1]).unwrap();
    assert!(lab.cxlake(&["verify", "--sample", "0"]).expect(10).stdout.contains("bytes, the manifest says"));
    std::fs::write(&data, whole).unwrap();

    let registry = lab.lake().join("acme/registry/v0001.json");
    let version = std::fs::read_to_string(&registry).unwrap();
    std::fs::write(&registry, version.replace("\"name\": \"hold_time\"", "\"name\": \"held\"")).unwrap();
    let found = lab.cxlake(&["verify"]).expect(10).stdout;
    assert_eq!(found.matches("its columns are report_date Date32").count(), 3, "{found}");
    std::fs::remove_file(&registry).unwrap();
    let found = lab.cxlake(&["verify"]).expect(10).stdout;
    assert_eq!(found.matches("version 1 of the registry, whose columns it has, is missing").count(), 3, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_notes_what_it_does_not_look_at() {
    let mut lab = Lab::start(tenant(100)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let again = lab.report_again("other");
    lab.add(&again);
    assert_eq!(
        lab.cxlake(&["verify"]).expect(0).stdout,
        "note     acme/other: nothing is committed\n1 windows, 2 objects read, 96 accepted rows, 0 findings\n"
    );
    while lab.configuration().contains("[reports.calls") {
        lab.replace("[reports.calls", "[reports.third");
    }
    let told = lab.cxlake(&["verify"]).expect(0).stdout;
    assert!(told.contains("note     acme/calls: the configuration has no such report: it was not looked at"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_registry_hides_no_other_finding() {
    let lab = Lab::start(tenant(100)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    std::fs::write(lab.lake().join("acme/registry/v0001.json"), "{").unwrap();
    std::fs::remove_dir_all(lab.lake().join("acme/calls/quarantine")).unwrap();
    let told = lab.cxlake(&["verify"]).expect(10).stdout;
    assert!(told.contains("v0001.json") && told.contains("columns were not looked at"), "{told}");
    assert!(told.contains("acme/calls/quarantine/dt=2024-01-01/") && told.contains("2 findings"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_not_there_is_not_looked_at() {
    let lab = Lab::start(tenant(10)).await;
    for command in [
        &["verify"][..],
        &["report"],
        &["vacuum"],
        &["quarantine", "list"],
        &["quarantine", "show"],
        &["quarantine", "export"],
        &["quarantine", "replay", "--date", "2024-01-01"],
    ] {
        let outcome = lab.cxlake(command).expect(2);
        assert!(outcome.complaint().contains("there is none"), "{command:?}: {}", outcome.stderr);
        assert!(!lab.lake().exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_gone_is_no_failure() {
    let lab = Lab::start(tenant(10)).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = lab.command(&["plan", "--from", "2024-01-01", "--to", "2024-01-08"]);
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
