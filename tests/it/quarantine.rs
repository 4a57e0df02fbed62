//! Rejects reviewed and tried again, over the life of a lake.

use std::collections::BTreeMap;
use std::path::Path;

use cxlake_simulator::{Metric, TenantSettings};
use serde_json::{Value, json};

use crate::support::{Lab, python, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];
const REPLAY: [&str; 4] = ["quarantine", "replay", "--date", "2024-01-01"];

/// A tenant whose administrators forgot to allow a value of the regulatory flag.
fn forgetful() -> TenantSettings {
    TenantSettings {
        bad_every: 10,
        bad_rules: vec!["enum".to_owned()],
        duplicate_every: 0,
        unknown_every: 0,
        ..tenant(200)
    }
}

/// What a query over the lake's files gives, as text.
fn query(lab: &Lab, sql: &str) -> String {
    let report = lab.lake().join("acme/calls");
    let read = |kind: &str| {
        format!(
            "read_parquet('{}/{kind}/**/*.parquet', hive_partitioning = true, union_by_name = true)",
            report.display()
        )
    };
    let sql = sql.replace("DATA", &read("data")).replace("QUARANTINE", &read("quarantine"));
    let printed = python("query.py", &[lab.folder().to_str().unwrap(), &sql]);
    printed.lines().skip(1).collect::<Vec<_>>().join("\n")
}

/// All files below a folder with the hash of their content.
fn tree(folder: &Path) -> BTreeMap<String, u64> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(tree(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            files.insert(path.display().to_string(), twox_hash::XxHash3_64::oneshot(&content));
        }
    }
    files
}

fn rows(summary: &Value) -> (u64, u64, u64) {
    let rows = &summary["windows"][0]["rows"];
    let count = |name: &str| rows[name].as_u64().unwrap();
    assert_eq!(count("expected"), count("accepted") + count("quarantined") + count("duplicates"));
    (count("accepted"), count("quarantined"), count("duplicates"))
}

/// Allows every value of the flag that a reject has.
fn allow_what_was_rejected(lab: &Lab) {
    let exported = lab.cxlake(&["quarantine", "export"]).expect(0).stdout;
    let rejects: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lab.simulator.change(|settings| {
        let flag = &mut settings.catalog[1];
        for reject in &rejects {
            let record: Value = serde_json::from_str(reject["raw_record"].as_str().unwrap()).unwrap();
            let value = record["customMetrics"][&flag.id].clone();
            let allowed = flag.allowed_values.get_or_insert_default();
            if value.is_string() && !allowed.contains(&value) {
                allowed.push(value);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_lives_through_drift_and_replay() {
    let mut lab = Lab::start(forgetful()).await;
    let flag = lab.simulator.settings().catalog[1].id.clone();
    let registry = lab.lake().join("acme/registry");
    let version = |summary: &Value| summary["windows"][0]["registry_version"].as_u64().unwrap();
    let kinds = |summary: &Value| -> Vec<String> {
        let drift = summary["drift"].as_array().unwrap().clone();
        drift.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    };

    // First run.
    let summary = lab.cxlake(&RUN).expect(0).summary();
    assert_eq!((version(&summary), kinds(&summary)), (1, Vec::new()));
    let (accepted, quarantined, duplicates) = rows(&summary);
    assert_eq!((accepted + quarantined, duplicates), (200, 0));
    assert!(quarantined >= 10);
    assert_eq!(query(&lab, "SELECT DISTINCT rule, path FROM QUARANTINE"), format!("['enum', '/customMetrics/{flag}']"));

    // A rename: one version, the same columns.
    lab.simulator.change(|settings| settings.catalog[0].display_name = "Mood".to_owned());
    let summary = lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0).summary();
    assert_eq!((version(&summary), kinds(&summary)), (2, vec!["renamed".to_owned()]));

    // Nothing passes under the same rules, and nothing is written.
    let before = tree(&lab.lake());
    let summary = lab.cxlake(&REPLAY).expect(0).summary();
    assert_eq!(
        (summary["windows"][0]["status"].as_str(), rows(&summary)),
        (Some("unchanged"), (accepted, quarantined, 0))
    );
    assert_eq!(tree(&lab.lake()), before);

    // A widened enum: what was rejected passes, into its window.
    allow_what_was_rejected(&lab);
    assert!(lab.cxlake(&["registry", "sync"]).expect(0).stdout.contains("allowedValues widened by"));
    let before = tree(&lab.lake());
    let tried = lab.cxlake(&[&REPLAY[..], &["--dry-run"]].concat()).expect(0);
    assert!(tried.stderr.contains(&format!("\"accepted\":{quarantined}")), "{}", tried.stderr);
    assert_eq!(tree(&lab.lake()), before);
    // Under the version that rejected them they stay.
    let summary = lab.cxlake(&[&REPLAY[..], &["--registry", "1"]].concat()).expect(0).summary();
    assert_eq!(summary["windows"][0]["status"], "unchanged");

    let summary = lab.cxlake(&REPLAY).expect(0).summary();
    assert_eq!((summary["windows"][0]["status"].as_str(), rows(&summary)), (Some("committed"), (200, 0, 0)));
    assert_eq!(version(&summary), 3);
    let done = std::fs::read_to_string(summary["windows"][0]["manifest"].as_str().unwrap()).unwrap();
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(done["replays"][0]["accepted"], quarantined);
    assert_eq!((&done["replays"][0]["of_sequence"], &done["sequence"]), (&json!(1), &json!(2)));
    let moved = "SELECT _schema_version, count(*) FROM DATA WHERE dt = '2024-01-01' GROUP BY ALL ORDER BY ALL";
    assert_eq!(query(&lab, moved), format!("['1', '{accepted}']\n['3', '{quarantined}']"));
    lab.cxlake(&["verify"]).expect(0);

    // Again: nothing is left to move.
    let before = tree(&lab.lake());
    let summary = lab.cxlake(&REPLAY).expect(0).summary();
    assert_eq!(summary["windows"][0]["status"], "unchanged");
    assert_eq!(tree(&lab.lake()), before);

    // Every value is what the tenant has now, and a run from the tenant supersedes the replay.
    lab.simulator.change(|settings| settings.bad_every = 0);
    let restated = lab.cxlake(&RUN).expect(0).summary();
    assert_eq!((restated["restated"].as_u64(), rows(&restated)), (Some(1), (200, 0, 0)));
    lab.compare_day(&lab.lake(), "2024-01-01", false);

    // A new metric, a type change, a retirement: one version, columns only grow.
    let columns = |lab: &Lab| query(lab, "SELECT count(*) FROM (DESCRIBE SELECT * FROM DATA)");
    let known: u64 = columns(&lab).trim_matches(['[', ']', '\'']).parse().unwrap();
    lab.simulator.change(|settings| {
        settings.catalog.push(Metric::new("cm_aaaaaaaaaaaaaaaa", "Brand New", "boolean"));
        settings.catalog[2].data_type = "string".to_owned();
        settings.catalog[2].minimum = None;
        settings.catalog[2].maximum = None;
        settings.catalog[3].status = "retired".to_owned();
    });
    let summary = lab.cxlake(&["run", "--date", "2024-01-03"]).expect(0).summary();
    assert_eq!(
        (version(&summary), kinds(&summary)),
        (4, ["type_changed", "constraints_changed", "retired", "new_metric"].map(str::to_owned).to_vec())
    );
    assert_eq!(columns(&lab), format!("['{}']", known + 2));
    let retyped = &lab.simulator.settings().catalog[2].id;
    let nulls =
        format!("SELECT count(\"{retyped}\"), count(\"{retyped}__string\") > 0 FROM DATA WHERE dt = '2024-01-03'");
    assert_eq!(query(&lab, &nulls), "['0', 'True']");

    // Frozen: exit 4, no version, nothing committed.
    lab.replace("max_quarantined_percent", "new_metric = \"freeze\"\nmax_quarantined_percent");
    lab.simulator.change(|settings| settings.catalog.push(Metric::new("cm_bbbbbbbbbbbbbbbb", "Newer", "string")));
    lab.cxlake(&["run", "--date", "2024-01-04"]).expect(4);
    assert!(!registry.join("v0005.json").exists());
    assert!(!lab.lake().join("acme/calls/data/dt=2024-01-04").exists());
    let events = std::fs::read_dir(registry.join("events")).unwrap().count();
    assert_eq!(events, 1 + 1 + 4 + 1, "renamed, widened, four of version 4, one frozen");
    lab.cxlake(&["verify"]).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reject_never_takes_the_key_of_a_row_and_twins_are_kept_once() {
    let lab = Lab::start(TenantSettings { bad_every: 0, ..forgetful() }).await;
    let record = |key: &str, flag: &str| {
        format!(
            r#"{{"interactionId":"{key}","agentId":"b","dispositionCode":"c","startTime":"2024-01-01T12:00:00Z","customMetrics":{{"cm_1a2b3c4d5e6f7890":"{flag}"}}}}"#
        )
    };
    let (pass, late) = ("COMPLIANCE_PASS", "LATE");
    let mut records = vec![record("taken", pass), record("taken", late), record("twin", late), record("twin", late)];
    records.extend((0..30).map(|number| record(&format!("more-{number}"), pass)));
    let count = records.len();
    let text = format!(r#"{{"totalRecords":{count},"returnedRecords":{count},"data":[{}]}}"#, records.join(","));
    let page = cxlake_simulator::Effect::Body { text };
    lab.simulator.play(crate::support::faults::for_ever(crate::support::faults::on_page(0, page)));
    assert_eq!(rows(&lab.cxlake(&RUN).expect(0).summary()), (31, 3, 0));
    allow_what_was_rejected(&lab);
    lab.cxlake(&["registry", "sync"]).expect(0);
    let outcome = lab.cxlake(&REPLAY).expect(0);
    assert_eq!(rows(&outcome.summary()), (32, 1, 1));
    assert!(outcome.stderr.contains("\"rule\":\"duplicate_key\""), "{}", outcome.stderr);
    assert_eq!(query(&lab, "SELECT record_key, rule, source_offset FROM QUARANTINE"), "['taken', 'enum', '1']");
    assert_eq!(rows(&lab.cxlake(&REPLAY).expect(0).summary()), (32, 1, 1));
    lab.cxlake(&["verify"]).expect(0);
}

/// The files of a window by their folders.
fn window_files(lab: &Lab, suffix: &str) -> std::path::PathBuf {
    lab.lake().join("acme/calls").join(suffix.replace("WINDOW", "dt=2024-01-01/20240101T050000Z-20240102T050000Z"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_was_interrupted_is_ended_by_the_next() {
    let file = |lab: &Lab, kind: &str| window_files(lab, &format!("{kind}/WINDOW.parquet"));
    // What was put before the end came: nothing but the plan, the data, both.
    for put in [&[][..], &["data"], &["data", "quarantine"]] {
        let lab = Lab::start(forgetful()).await;
        lab.cxlake(&RUN).expect(0);
        let objects = || ["data", "quarantine"].map(|kind| (kind, std::fs::read(file(&lab, kind)).unwrap()));
        // Twice, the second after other rules.
        for (narrow, sequence) in [(true, 2), (false, 3)] {
            let before = objects();
            allow_what_was_rejected(&lab);
            if narrow {
                lab.simulator.change(|settings| drop(settings.catalog[1].allowed_values.as_mut().unwrap().pop()));
            }
            lab.cxlake(&["registry", "sync"]).expect(0);
            lab.cxlake(&REPLAY).expect(0);
            let after = objects();
            for (kind, content) in before.iter().filter(|(kind, _)| !put.contains(kind)) {
                std::fs::write(file(&lab, kind), content).unwrap();
            }
            std::fs::remove_file(window_files(&lab, &format!("manifests/WINDOW-00000{sequence}.done.json"))).unwrap();
            assert!(lab.cxlake(&["quarantine", "list"]).expect(0).stderr.contains("was interrupted"), "{put:?}");
            lab.cxlake(&[&REPLAY[..], &["--dry-run"]].concat()).expect(9);
            assert_eq!(lab.cxlake(&REPLAY).expect(0).statuses(), ["committed"], "{put:?}");
            assert_eq!(objects(), after, "{put:?}");
        }
        let summary = lab.cxlake(&REPLAY).expect(0).summary();
        assert_eq!((summary["windows"][0]["status"].as_str(), rows(&summary)), (Some("unchanged"), (200, 0, 0)));
        assert_eq!(query(&lab, "SELECT count(*), count(DISTINCT interaction_id) FROM DATA"), "['200', '200']");
        assert_eq!(query(&lab, "SELECT count(*) FROM QUARANTINE"), "['0']");
        lab.cxlake(&["verify"]).expect(0);
    }
    // Ended under newer rules, it goes on with them.
    let lab = Lab::start(forgetful()).await;
    lab.cxlake(&RUN).expect(0);
    allow_what_was_rejected(&lab);
    lab.simulator.change(|settings| drop(settings.catalog[1].allowed_values.as_mut().unwrap().pop()));
    lab.cxlake(&["registry", "sync"]).expect(0);
    lab.cxlake(&REPLAY).expect(0);
    std::fs::remove_file(window_files(&lab, "manifests/WINDOW-000002.done.json")).unwrap();
    allow_what_was_rejected(&lab);
    lab.cxlake(&["registry", "sync"]).expect(0);
    assert_eq!(rows(&lab.cxlake(&REPLAY).expect(0).summary()), (200, 0, 0));
    assert!(window_files(&lab, "manifests/WINDOW-000003.done.json").exists());
    // A run that was interrupted is for a run to end.
    let lab = Lab::start(forgetful()).await;
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|settings| settings.seed += 1);
    lab.cxlake(&RUN).expect(0);
    std::fs::remove_file(window_files(&lab, "manifests/WINDOW-000002.done.json")).unwrap();
    lab.cxlake(&REPLAY).expect(9);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_are_counted_shown_and_exported() {
    let mut lab = Lab::start(tenant(2_000)).await;
    let agent = |text: &str| text.matches("\"agentId\": \"***\"").count();
    lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0);
    let counts = lab.cxlake(&["quarantine", "list"]).expect(0).stdout;
    let total: u64 = query(&lab, "SELECT count(*) FROM QUARANTINE").trim_matches(['[', ']', '\'']).parse().unwrap();
    assert!(counts.ends_with(&format!("{total} rejects\n")), "{counts}");
    assert!(
        counts.contains("2024-01-02  acme calls  enum  \"/customMetrics/cm_1a2b3c4d5e6f7890\" (\"Regulatory Flag\")"),
        "{counts}"
    );

    let shown = lab.cxlake(&["quarantine", "show", "--metric", "Regulatory Flag", "--limit", "3"]).expect(0).stdout;
    assert_eq!(shown.matches("<-- enum: expected [\"COMPLIANCE_FAIL\"").count(), 3, "{shown}");
    assert_eq!(agent(&shown), 0);
    lab.add("\n[quarantine]\nmask = [\"/agentId\"]\n");
    let masked = lab.cxlake(&["quarantine", "show", "--rule", "enum", "--limit", "3"]).expect(0).stdout;
    assert_eq!((agent(&masked), masked.matches(" key ***,").count()), (3, 3), "{masked}");

    let exported = lab.cxlake(&["quarantine", "export", "--date", "2024-01-01"]).expect(0).stdout;
    let mut exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    exported.sort_by_key(|reject| reject["source_offset"].as_u64());
    let sent: Vec<String> = lab
        .truth("2024-01-01", "2024-01-02")
        .filter(|record| matches!(record.verdict, cxlake_simulator::truth::Verdict::Quarantined { .. }))
        .map(|record| record.raw)
        .collect();
    let kept: Vec<&str> = exported.iter().map(|reject| reject["raw_record"].as_str().unwrap()).collect();
    assert_eq!(kept, sent, "as they were sent, masks or not");

    for (arguments, message) in [
        (vec!["quarantine", "replay"], "no day is given"),
        (vec!["quarantine", "replay", "--date", "2024-01-01", "--registry", "9"], "v0009.json: there is none"),
    ] {
        let message_found = lab.cxlake(&arguments).expect(2).message();
        assert!(message_found.contains(message), "{message_found}");
    }
    let typo = lab.cxlake(&["quarantine", "list", "--rule", "enumm"]).expect(2).stderr;
    assert!(typo.contains("invalid value 'enumm'") && typo.contains("a similar value exists: 'enum'"), "{typo}");
    let typo = lab.cxlake(&["quarantine", "list", "--metric", "Regulatory Flags"]).expect(0).stderr;
    assert!(
        typo.contains("knows no metric of this name") && typo.contains("did you mean \\\"Regulatory Flag\\\"?"),
        "{typo}"
    );
    let known = lab.cxlake(&["quarantine", "list", "--metric", "agentId"]).expect(0).stderr;
    assert!(!known.contains("knows no metric"), "{known}");
    lab.replace("mask = [\"/agentId\"", "mask = [\"agentId\"");
    assert!(lab.cxlake(&["quarantine", "list"]).expect(2).stderr.contains("\\\"agentId\\\" is no JSON Pointer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_not_as_its_manifests_say_is_not_replayed() {
    let lab = Lab::start(forgetful()).await;
    lab.cxlake(&RUN).expect(0);
    let file = lab.lake().join("acme/calls/data/dt=2024-01-01/20240101T050000Z-20240102T050000Z.parquet");
    let mut content = std::fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&file, content).unwrap();
    allow_what_was_rejected(&lab);
    lab.cxlake(&["registry", "sync"]).expect(0);
    assert!(lab.cxlake(&REPLAY).expect(10).message().contains("its sha256 is"));
}
