//! The registry over the life of a tenant: versions, drift, its audit trail, and who is told.

use std::path::Path;

use cxlake_simulator::{CallKind, Fault, Metric, TenantSettings};
use serde_json::{Value, json};

use crate::support::faults::status;
use crate::support::{FileFault, Lab, Outcome, python, tenant, webhook};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

fn clean() -> TenantSettings {
    TenantSettings { bad_every: 0, duplicate_every: 0, unknown_every: 0, ..tenant(60) }
}

/// The names of the files in a folder, sorted.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).map(|entries| entries.flatten().collect()).unwrap_or_else(|_| Vec::new());
    let mut names: Vec<String> = entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The events in a registry, oldest first.
fn events(registry: &Path) -> Vec<Value> {
    let folder = registry.join("events");
    let read = |name: &String| serde_json::from_str(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
    // What a killed run had not named yet is no event.
    files(&folder).iter().filter(|name| name.ends_with(".json")).map(read).collect()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// Changes a metric of the catalog.
fn change(lab: &Lab, at: usize, change: impl FnOnce(&mut Metric)) {
    lab.simulator.change(|settings| change(&mut settings.catalog[at]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_drift_is_an_event_a_version_and_an_entry_of_the_log() {
    let lab = Lab::start(clean()).await;
    let registry = lab.lake().join("acme/registry");
    lab.cxlake(&RUN).expect(0);
    assert_eq!(files(&registry), ["v0001.json"], "a first version is no drift");
    let id = lab.simulator.settings().catalog[0].id.clone();
    change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
    change(&lab, 1, |metric| metric.allowed_values.get_or_insert_default().push("Brand New".into()));
    change(&lab, 2, |metric| metric.reporting_groups = Some(vec!["q_other".to_owned()]));
    let summary = lab.cxlake(&RUN).expect(0).summary();
    let told: Vec<&str> =
        summary["drift"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(told, ["renamed", "constraints_changed", "assignment_changed"]);
    assert_eq!(files(&registry), ["events", "v0001.json", "v0002.json"]);
    let mut seen = events(&registry);
    seen.sort_by_key(|event| event["kind"].to_string());
    assert_eq!(kinds(&seen), ["assignment_changed", "constraints_changed", "renamed"]);
    let widened = seen[1]["detail"].as_str().unwrap();
    assert!(widened.contains("allowedValues widened by [\"Brand New\"]"), "{widened}");
    assert_eq!(
        (&seen[2]["id"], &seen[2]["registry_version"], &seen[2]["frozen"]),
        (&json!(id), &json!(2), &json!(false))
    );
    let log = lab.cxlake(&["registry", "log"]).expect(0).stdout;
    assert_eq!(log.lines().count(), 5, "{log}");
    let list = lab.cxlake(&["registry", "list"]).expect(0).stdout;
    assert!(list.lines().count() == 2 && list.contains("first version"), "{list}");
    lab.cxlake(&RUN).expect(0);
    assert_eq!(files(&registry.join("events")).len(), 3, "what is known is no drift");
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_drift_writes_nothing_but_its_event_until_it_is_accepted() {
    let mut lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    lab.replace("max_quarantined_percent", "changed_metric = \"freeze\"\nmax_quarantined_percent");
    change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
    let outcome = lab.cxlake(&["run", "--date", "2024-01-02"]).expect(4);
    assert!(outcome.complaint().contains("is now \"Another Name\""), "{}", outcome.complaint());
    assert_eq!(outcome.summary()["drift"][0]["registry_version"], Value::Null);
    let registry = lab.lake().join("acme/registry");
    assert_eq!(files(&registry), ["events", "v0001.json"]);
    assert!(events(&registry).iter().all(|event| event["frozen"] == true));
    assert_eq!(files(&lab.lake().join("acme/calls/data")), ["dt=2024-01-01"]);
    assert!(lab.cxlake(&["registry", "sync", "--dry-run"]).expect(0).stdout.contains("would write version 2"));
    assert!(lab.cxlake(&["registry", "sync"]).expect(0).stdout.contains("wrote version 2"));
    assert!(lab.cxlake(&["registry", "sync"]).expect(0).stdout.contains("version 2 is up to date"));
    lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_in_the_audit_trail_wherever_a_run_is_killed() {
    let lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    let registry = lab.lake().join("acme/registry");
    let mut killed = 0;
    for at in 1..40 {
        change(&lab, 0, |metric| metric.display_name = format!("Name {at}"));
        let mut command = lab.command(&RUN);
        FileFault { at, how: "KILL" }.happen(&mut command, &registry);
        killed += i32::from(Outcome::of(command).code == -1);
        lab.cxlake(&RUN).expect(0);
        lab.cxlake(&["registry", "log"]).expect(0);
        let told = |event: &Value| event["detail"].as_str().unwrap().contains(&format!("\"Name {at}\""));
        assert!(events(&registry).iter().any(told), "killed at {at}");
    }
    assert!(killed > 5, "{killed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_report_accepts_for_another_what_that_one_forbids() {
    let mut lab = Lab::start(clean()).await;
    lab.add(
        "\n[reports.agents]\ntenant = \"acme\"\nreport = \"Interaction/Call\"\nmetrics = [\"duration\"]\n\
         group_by = [\"interactionId\"]\nkey = [\"interactionId\"]\n[reports.agents.policy]\nchanged_metric = \"freeze\"\n",
    );
    lab.cxlake(&RUN).expect(0);
    change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
    let outcome = lab.cxlake(&["run", "--report", "calls", "--date", "2024-01-02"]).expect(4);
    let hint = outcome.summary()["error"]["hint"].as_str().unwrap_or_default().to_owned();
    assert!(hint.contains("reports.agents"), "{hint}");
    lab.cxlake(&["registry", "sync"]).expect(0);
    lab.cxlake(&["run", "--report", "calls", "--date", "2024-01-02"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_vanishes_during_a_run_makes_it_look_again_once() {
    let lab = Lab::start(TenantSettings { latency_ms: 100, ..clean() }).await;
    let retired = lab.simulator.settings().catalog[2].id.clone();
    let run = lab.begin(&["run", "--from", "2024-01-01", "--to", "2024-01-04"]);
    lab.wait_for_pages(1);
    lab.simulator.change(|settings| drop(settings.catalog.remove(2)));
    let summary = run.end().expect(0).summary();
    assert_eq!((&summary["drift"][0]["kind"], &summary["drift"][0]["id"]), (&json!("retired"), &json!(retired)));
    assert_eq!(summary["windows"][2]["registry_version"], 2);
    lab.compare_day(&lab.lake(), "2024-01-03", false);
    // Where the policy forbids it, the windows before it stay, and nothing comes after them.
    let mut frozen = Lab::start(clean()).await;
    frozen.cxlake(&RUN).expect(0);
    frozen.replace("max_quarantined_percent", "retired_metric = \"freeze\"\nmax_quarantined_percent");
    frozen.simulator.play(Fault { skip: 1, ..Fault::new(CallKind::DataDownload, status(503, Some("2"))) });
    let run = frozen.begin(&["run", "--from", "2024-01-02", "--to", "2024-01-04"]);
    while !frozen.simulator.calls().iter().any(|call| call.status == 503) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    frozen.simulator.change(|settings| drop(settings.catalog.remove(2)));
    run.end().expect(4);
    assert_eq!(files(&frozen.lake().join("acme/calls/data")), ["dt=2024-01-01", "dt=2024-01-02"]);
    assert!(!frozen.lake().join("acme/registry/v0002.json").exists());
    // A refusal that no drift explains is final at once.
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::DataDownload, status(400, None)) });
    lab.simulator.clear_calls();
    lab.cxlake(&RUN).expect(2);
    let pages = lab.simulator.calls().iter().filter(|call| call.path.ends_with("data-download")).count();
    assert_eq!(pages, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_committed_though_the_run_is_stopped_while_it_tells() {
    let mut lab = Lab::start(TenantSettings { unknown_every: 3, ..clean() }).await;
    let begun = lab.folder().join("begun");
    lab.add(&format!("\n[alerts]\ncommand = [\"sh\", \"-c\", \"touch {}; exec sleep 60\"]\n", begun.display()));
    let run = lab.begin(&RUN);
    while !begun.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    run.signal("TERM");
    let outcome = run.end().expect(143);
    assert_eq!(outcome.statuses(), ["committed"]);
    assert_eq!(outcome.summary()["drift"][0]["kind"], "unknown_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_lives_where_the_user_wants_it() {
    let mut lab = Lab::start(clean()).await;
    let folder = lab.folder().join("checkout");
    lab.replace("[tenants.acme.regions]", &format!("registry_url = \"{}\"\n[tenants.acme.regions]", folder.display()));
    lab.cxlake(&["plan", "--date", "2024-01-01"]).expect(0);
    assert!(!folder.exists(), "a look makes no folder");
    lab.cxlake(&RUN).expect(0);
    change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
    lab.cxlake(&RUN).expect(0);
    assert_eq!(files(&folder), ["events", "v0001.json", "v0002.json"]);
    assert!(!lab.lake().join("acme/registry").exists());
    assert!(lab.cxlake(&["registry", "show"]).expect(0).stdout.contains("earlier "));
    assert!(lab.cxlake(&["registry", "show", "7"]).expect(2).stderr.contains("versions 1 to 2"));
    let shown = |flags: &[&str], code| {
        let mut command = lab.command(&[&["registry", "show"], flags].concat());
        command.env("CXLAKE_JSON", "true");
        Outcome::of(command).expect(code).stdout
    };
    assert!(shown(&[], 0).contains("\"created_at\""));
    assert!(shown(&["--json-schema"], 0).contains("\"$schema\""));
    shown(&["--json-schema", "--json"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_runs_at_once_make_one_registry() {
    let lab = Lab::start(clean()).await;
    let runs: Vec<_> = (1..=4).map(|day| lab.begin(&["run", "--date", &format!("2024-01-0{day}")])).collect();
    for run in runs {
        run.end().expect(0);
    }
    assert_eq!(files(&lab.lake().join("acme/registry")), ["v0001.json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_get_each_event_as_json_and_never_fail_the_run() {
    for (code, status, works) in [(0, "204 No Content", true), (1, "500 Internal Server Error", false)] {
        let mut lab = Lab::start(clean()).await;
        lab.cxlake(&RUN).expect(0);
        let (url, server) = webhook(2, status);
        let seen = lab.folder().join("seen.ndjson");
        lab.add(&format!(
            "\n[alerts]\ncommand = [\"sh\", \"-c\", \"cat >> {}; exit {code}\"]\nwebhook = \"{url}\"\n",
            seen.display()
        ));
        change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
        change(&lab, 2, |metric| metric.status = "retired".to_owned());
        let outcome = lab.cxlake(&RUN).expect(0);
        let posted: Vec<Value> =
            server.join().unwrap().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let piped: Vec<Value> =
            std::fs::read_to_string(&seen).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(kinds(&posted), ["renamed", "retired"]);
        assert_eq!(piped, posted);
        assert_eq!(outcome.stderr.contains("the alert command failed"), !works, "{}", outcome.stderr);
        assert_eq!(outcome.stderr.contains("the alert webhook failed"), !works, "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("secret-hook"), "the URL can be a secret");
    }
    let mut lab = Lab::start(clean()).await;
    lab.add("\n[alerts]\nwebhook = \"http://hooks.example/secret-hook\"\n");
    let message = lab.cxlake(&RUN).expect(2).message();
    assert!(message.contains("alerts.webhook") && !message.contains("secret-hook"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_one_event_a_run_with_its_first_place() {
    let lab = Lab::start(TenantSettings { unknown_every: 10, ..clean() }).await;
    let summary = lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-04"]).expect(0).summary();
    let drift = summary["drift"].as_array().unwrap();
    assert_eq!(drift.len(), 2, "{drift:?}");
    let seen = events(&lab.lake().join("acme/registry"));
    assert_eq!(kinds(&seen), ["unknown_key", "unknown_key"]);
    assert_eq!(seen[0]["first_window"], "20240101T050000Z-20240102T050000Z");
    let records = |event: &Value| event["records"].as_u64().unwrap();
    assert!(
        records(&seen[0]) < records(&drift[0]) && seen[0]["first_record"].is_u64(),
        "of its first window: {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_a_metric_are_part_of_the_version_and_no_drift() {
    let mut lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    let id = "cm_9f8e7d6c5b4a3210";
    lab.replace("type = \"decimal(9,6)\"", "type = \"decimal(9,4)\"\nprecision = 4");
    lab.replace("max_quarantined_percent", "changed_metric = \"freeze\"\nmax_quarantined_percent");
    let summary = lab.cxlake(&RUN).expect(0).summary();
    assert_eq!(summary["drift"], json!([]), "what the configuration says is not the tenant's doing");
    let text = std::fs::read_to_string(lab.lake().join("acme/registry/v0002.json")).unwrap();
    let version: Value = serde_json::from_str(&text).unwrap();
    let metric = version["metrics"].as_array().unwrap().iter().find(|metric| metric["id"] == id).unwrap();
    assert_eq!((&metric["type"], &metric["constraints"]["precision"]), (&json!("decimal(9,4)"), &json!(4)));
    assert!(version["reason"].as_str().unwrap().starts_with("configuration: "), "{}", version["reason"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_nobody_knows_is_told_and_stops_nothing() {
    let lab = Lab::start(clean()).await;
    change(&lab, 2, |metric| metric.data_type = "duration".to_owned());
    let summary = lab.cxlake(&RUN).expect(0).summary();
    let warning = summary["warnings"][0].as_str().unwrap();
    assert!(warning.contains("unknown type \"duration\": it is not requested"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_difference_of_two_versions_says_what_it_does_to_columns_and_stored_values() {
    let lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    change(&lab, 0, |metric| metric.maximum = Some("0.5".parse().unwrap()));
    change(&lab, 1, |metric| drop(metric.allowed_values.as_mut().unwrap().pop()));
    change(&lab, 2, |metric| metric.data_type = "string".to_owned());
    lab.cxlake(&["registry", "sync"]).expect(0);
    let text = lab.cxlake(&["registry", "diff", "1", "2"]).expect(0).stdout;
    insta::assert_snapshot!(text);
    assert_eq!(lab.cxlake(&["registry", "diff", "2", "2"]).expect(0).stdout, "no metric and no column differs\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_schema_judges_records_in_any_validator() {
    let lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    let schema = lab.cxlake(&["registry", "show", "--json-schema"]).expect(0).stdout;
    let path = lab.folder().join("record.schema.json");
    std::fs::write(&path, schema).unwrap();
    let good = lab.truth("2024-01-01", "2024-01-02").next().unwrap().raw;
    let records = lab.folder().join("records.ndjson");
    let bad = good.replacen("\"duration\":", "\"duration\":\"1\",\"was\":", 1);
    assert_ne!(good, bad);
    std::fs::write(&records, format!("{good}\n{bad}\n[]\n")).unwrap();
    let verdicts = python("validate_records.py", &[path.to_str().unwrap(), records.to_str().unwrap()]);
    assert_eq!(verdicts.lines().collect::<Vec<_>>(), ["valid", "/duration", ""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_before_a_rename_still_finds_its_metric() {
    let mut lab = Lab::start(clean()).await;
    let metric = lab.simulator.settings().catalog[1].clone();
    lab.replace("custom_metrics = \"*\"", &format!("custom_metrics = [\"{}\"]", metric.display_name));
    lab.cxlake(&RUN).expect(0);
    change(&lab, 1, |metric| metric.display_name = "Another Name".to_owned());
    let summary = lab.cxlake(&RUN).expect(0).summary();
    assert!(summary["warnings"][0].as_str().unwrap().contains("the configuration has its earlier name"), "{summary}");
    change(&lab, 1, |metric| metric.status = "retired".to_owned());
    let summary = lab.cxlake(&RUN).expect(0).summary();
    assert_eq!(summary["drift"][0]["kind"], "retired");
    assert!(summary["warnings"].to_string().contains("is retired: no longer requested"), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_written_fails_no_run() {
    let lab = Lab::start(clean()).await;
    lab.cxlake(&RUN).expect(0);
    std::fs::write(lab.lake().join("acme/registry/events"), "in the way").unwrap();
    change(&lab, 0, |metric| metric.display_name = "Another Name".to_owned());
    let outcome = lab.cxlake(&RUN).expect(0);
    assert!(outcome.stderr.contains("drift events were not written"), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn keywords_that_the_fast_path_does_not_know_are_checked_all_the_same() {
    let mut lab = Lab::start(TenantSettings { bad_every: 0, ..clean() }).await;
    let code = "[tenants.acme.custom_metrics.\"cm_6f70819203142536\"]\nschema = ";
    lab.add(&format!("\n{code}{{ not = {{ pattern = \"^L\" }} }}\n"));
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 100.0");
    let rows = lab.cxlake(&RUN).expect(0).summary()["windows"][0]["rows"].clone();
    let begins_with_l =
        |record: &cxlake_simulator::truth::TrueRecord| record.raw.contains("\"cm_6f70819203142536\":\"L");
    let expected = lab.truth("2024-01-01", "2024-01-02").filter(begins_with_l).count();
    assert!(expected > 0);
    assert_eq!(rows["quarantined"], expected, "{rows}");
    for (schema, reason) in [
        ("{ minLenght = 3 }", "did you mean \"minLength\"?"),
        ("{ \"$ref\" = \"http://127.0.0.1:9/schema\" }", "\"$ref\" is not known"),
        ("{ anyOf = [{ \"$ref\" = \"file:///etc/passwd\" }] }", "\"$ref\" is not known"),
        ("{ pattern = \"(?=a)\" }", "look-around"),
    ] {
        lab.replace("{ not = { pattern = \"^L\" } }", schema);
        let outcome = lab.cxlake(&RUN).expect(2);
        assert!(outcome.complaint().contains(reason), "{}", outcome.complaint());
        lab.replace(schema, "{ not = { pattern = \"^L\" } }");
    }
}
