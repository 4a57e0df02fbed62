//! The main job: every value of every record, in a local lake.

use std::collections::BTreeMap;
use std::path::Path;

use cxlake_simulator::{CallKind, Fault};
use serde_json::json;

use crate::support::faults::status;
use crate::support::{Lab, python, tenant};

const DAYS: [&str; 3] = ["2024-03-09", "2024-03-10", "2024-03-11"];
const SPAN: [&str; 5] = ["run", "--from", "2024-03-09", "--to", "2024-03-12"];

/// The bytes of each file under `data/` and `quarantine/`.
pub(crate) fn contents(report: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for kind in ["data", "quarantine"] {
        for partition in std::fs::read_dir(report.join(kind)).unwrap() {
            for file in std::fs::read_dir(partition.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                files.insert(path.strip_prefix(report).unwrap().display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_value_is_stored_exactly_and_the_same_command_twice_leaves_the_same_bytes() {
    let lab = Lab::start(tenant(4_000)).await;
    let first = lab.cxlake(&SPAN).expect(0);
    assert_eq!(first.statuses(), ["committed"; 3]);
    for day in DAYS {
        lab.compare_day(&lab.lake(), day, true);
    }
    let written = contents(&lab.lake().join("acme/calls"));
    assert_eq!(written.len(), 6);
    let second = lab.cxlake(&SPAN).expect(0);
    assert_eq!(second.statuses(), ["unchanged"; 3]);
    assert_eq!(contents(&lab.lake().join("acme/calls")), written);
    assert_eq!(
        lab.cxlake(&["verify"]).expect(0).stdout,
        "3 windows, 6 objects read, 11430 accepted rows, 0 findings\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn another_lake_gets_the_same_bytes_however_the_tenant_cuts_its_pages() {
    let lab = Lab::start(tenant(2_000)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let first = contents(&lab.lake().join("acme/calls"));
    std::fs::rename(lab.lake(), lab.folder().join("first")).unwrap();
    lab.simulator.change(|settings| settings.page_cap = Some(123));
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    assert_eq!(contents(&lab.lake().join("acme/calls")), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restatement_replaces_the_window() {
    let lab = Lab::start(tenant(1_000)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    lab.simulator.change(|settings| settings.seed += 1);
    assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["committed"]);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
    lab.cxlake(&["verify"]).expect(0);
    let skipped = lab.cxlake(&["run", "--date", "2024-01-01", "--skip-committed"]).expect(0);
    assert_eq!(skipped.statuses(), ["unchanged"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_partition_the_day() {
    let mut lab = Lab::start(tenant(2_400)).await;
    lab.replace("page_records = 500", "page_records = 500\nwindow = \"hour\"");
    // The clocks go forward: a day of 23 hours.
    let outcome = lab.cxlake(&["run", "--date", "2024-03-10"]).expect(0);
    assert_eq!(outcome.statuses(), ["committed"; 23]);
    let rows = |outcome: &serde_json::Value| -> u64 {
        outcome["windows"].as_array().unwrap().iter().map(|window| window["rows"]["fetched"].as_u64().unwrap()).sum()
    };
    assert_eq!(rows(&outcome.summary()), 2_300);
    lab.cxlake(&["verify"]).expect(0);
    lab.replace("window = \"hour\"", "window = \"day\"");
    let mixed = lab.cxlake(&["run", "--date", "2024-03-10"]).expect(2);
    assert!(mixed.message().contains("the lake has the window"), "{}", mixed.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_and_a_shard_name_the_same_as_a_date() {
    let lab = Lab::start(tenant(500)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let window = "2024-01-01 05:00:00+00:00/2024-01-02T05:00:00Z";
    assert_eq!(lab.cxlake(&["run", "--window", window]).expect(0).statuses(), ["unchanged"]);
    let shards = lab.cxlake(&["plan", "--json", "--from", "2024-01-01", "--to", "2024-01-03"]).expect(0).stdout;
    let shards: Vec<serde_json::Value> = serde_json::from_str(&shards).unwrap();
    assert_eq!(
        shards[0],
        json!({"tenant": "acme", "report": "calls", "window": {
            "start": "2024-01-01T05:00:00Z", "end": "2024-01-02T05:00:00Z",
            "time_zone": "America/New_York", "date": "2024-01-01"}})
    );
    let statuses: Vec<String> = shards
        .iter()
        .flat_map(|shard| lab.cxlake(&["run", "--shard", &shard.to_string()]).expect(0).statuses())
        .collect();
    assert_eq!(statuses, ["unchanged", "committed"]);
    let shard = shards[0].to_string();
    lab.cxlake(&["run", "--shard", &shard, "--tenant", "acme", "--report", "calls"]).expect(0);
    let other = lab.cxlake(&["run", "--shard", &shard, "--tenant", "globex"]).expect(2);
    assert!(other.message().contains("which --tenant leaves out"), "{}", other.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_window_is_committed_as_empty() {
    for as_204 in [false, true] {
        let mut settings = tenant(0);
        settings.empty_as_204 = as_204;
        let lab = Lab::start(settings).await;
        let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
        assert_eq!(outcome.summary()["status"], "empty");
        assert_eq!(outcome.statuses(), ["empty"]);
        let rows = json!({"expected": 0, "fetched": 0, "accepted": 0, "quarantined": 0, "duplicates": 0});
        assert_eq!(outcome.summary()["windows"][0]["rows"], rows);
        assert_eq!(contents(&lab.lake().join("acme/calls")).len(), 2);
        lab.cxlake(&["run", "--date", "2024-01-01", "--empty", "skip"]).expect(99);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn footers_say_where_the_rows_come_from() {
    let mut lab = Lab::start(tenant(500)).await;
    lab.add("[lake.parquet]\nrow_group_rows = 200\n");
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let report = lab.lake().join("acme/calls");
    let seen = python("footers.py", &[report.to_str().unwrap()]);
    insta::assert_snapshot!(seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_summarises_itself() {
    let mut settings = tenant(1_000);
    settings.bad_rules = vec!["type".to_owned()];
    let lab = Lab::start(settings).await;
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01", "--summary-file", "summary.json"]).expect(0);
    let mut summary = outcome.summary();
    let extracted = outcome.stderr.lines().find(|line| line.contains("window extracted")).unwrap();
    let extracted: serde_json::Value = serde_json::from_str(extracted).unwrap();
    for stage in ["typing_ms", "typing_waits_for_pages_ms", "writing_ms", "writing_waits_for_batches_ms"] {
        assert!(extracted[stage].is_u64(), "{extracted}");
    }
    let metrics = lab.cxlake(&["run", "--date", "2024-01-01", "--metrics-file", "run.prom"]).expect(0);
    assert_eq!(metrics.statuses(), ["unchanged"]);
    let metrics = std::fs::read_to_string(lab.folder().join("run.prom")).unwrap();
    let without_time = |line: &str| match line.split_once("} ") {
        Some((stage, _)) if line.starts_with("cxlake_stage_seconds") => format!("{stage}}} …"),
        _ => line.to_owned(),
    };
    let timeless: Vec<String> =
        metrics.lines().filter(|line| !line.contains("timestamp_seconds ")).map(without_time).collect();
    insta::assert_snapshot!("metrics", timeless.join("\n"));
    assert_eq!(std::fs::read_to_string(lab.folder().join("summary.json")).unwrap(), outcome.stdout);
    summary["run_id"] = "…".into();
    summary["windows"][0]["bytes"] = "…".into();
    summary["windows"][0]["manifest"] =
        summary["windows"][0]["manifest"].as_str().unwrap().replace(lab.lake().to_str().unwrap(), "…").into();
    insta::assert_json_snapshot!(summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_still_say_when_a_run_last_succeeded_after_one_that_failed() {
    let lab = Lab::start(tenant(100)).await;
    let run = ["run", "--date", "2024-01-01", "--metrics-file", "run.prom"];
    let success = || {
        let text = std::fs::read_to_string(lab.folder().join("run.prom")).unwrap();
        let line = text.lines().find(|line| line.starts_with("cxlake_last_success_timestamp_seconds "));
        (line.unwrap().to_owned(), text.contains("cxlake_run_exit_code 0"))
    };
    lab.cxlake(&run).expect(0);
    let (first, _) = success();
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::Token, status(401, None)) });
    for _ in 0..2 {
        lab.cxlake(&run).expect(3);
        assert_eq!(success(), (first.clone(), false));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beside_a_run_is_replaced_as_a_whole_and_a_pipe_is_written_to() {
    let lab = Lab::start(tenant(100)).await;
    let (real, link) = (lab.folder().join("real.prom"), lab.folder().join("link.prom"));
    std::fs::write(&real, "before").unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let run = ["run", "--date", "2024-01-01", "--metrics-file"];
    lab.cxlake(&[&run[..], &["link.prom"]].concat()).expect(0);
    assert!(link.is_symlink() && std::fs::read_to_string(&real).unwrap().contains("cxlake_run_exit_code 0"));
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::Token, status(401, None)) });
    let failed = lab.cxlake(&[&run[..], &["/dev/stderr"]].concat()).expect(3);
    assert!(failed.stderr.contains("cxlake_run_exit_code 3"), "{}", failed.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_grows_with_the_catalog() {
    let lab = Lab::start(tenant(500)).await;
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    lab.simulator.change(|settings| {
        settings.catalog[0].display_name = "Sentiment".to_owned();
        settings.catalog.push(cxlake_simulator::Metric::new("cm_0123456789abcdef", "New Flag", "boolean"));
    });
    let outcome = lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0);
    let drift = outcome.summary()["drift"].clone();
    let kinds: Vec<&str> = drift.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds[..2], ["renamed", "new_metric"]);
    assert!(lab.lake().join("acme/registry/v0002.json").exists());
    lab.compare_day(&lab.lake(), "2024-01-02", true);
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_drift_commits_nothing() {
    let mut lab = Lab::start(tenant(500)).await;
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 20.0\nchanged_metric = \"freeze\"");
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    lab.simulator.change(|settings| settings.catalog[0].display_name = "Sentiment".to_owned());
    lab.cxlake(&["run", "--date", "2024-01-02"]).expect(4);
    assert!(!lab.lake().join("acme/registry/v0002.json").exists());
    assert_eq!(contents(&lab.lake().join("acme/calls")).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_rejects_publish_nothing_and_are_kept() {
    let mut lab = Lab::start(tenant(1_000)).await;
    lab.replace("max_quarantined_percent = 20.0", "max_quarantined_percent = 1.0");
    let temporary = lab.folder().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let output = lab.command(&["run", "--date", "2024-01-01"]).env("TMPDIR", &temporary).output().unwrap();
    assert_eq!(output.status.code(), Some(6));
    let kept: Vec<_> = std::fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert!(!lab.lake().join("acme/calls").exists());
}

#[test]
fn the_demo_tells_its_story_and_its_queries_work_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cxlake"));
        let output = command.args(["demo", "--records-per-day", "2000"]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
        String::from_utf8(output.stdout).unwrap()
    };
    let story = demo();
    insta::assert_snapshot!("demo", story);
    let (_, queries) = story.split_once("SELECT").unwrap();
    let answers = python("query.py", &[folder.path().to_str().unwrap(), &format!("SELECT{queries}")]);
    insta::assert_snapshot!("demo_queries", answers);
    assert_eq!(demo().matches("unchanged").count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_named_by_a_file_url_too() {
    let mut lab = Lab::start(tenant(100)).await;
    let path = format!("url = \"{}\"", lab.lake().display());
    lab.replace(&path, &format!("url = \"file://{}\"", lab.lake().display()));
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_looked_back_at() {
    let mut lab = Lab::start(tenant(100)).await;
    lab.replace("page_records = 500", "page_records = 500\nlookback_days = 2");
    let summary = lab.cxlake(&["run", "--date", "2024-01-03"]).expect(0).summary();
    let dates: Vec<&str> = summary["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["window"]["date"].as_str().unwrap())
        .collect();
    assert_eq!(dates, ["2024-01-01", "2024-01-02", "2024-01-03"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_the_configuration_that_changes_is_applied_to_committed_windows() {
    let mut lab = Lab::start(tenant(500)).await;
    lab.replace("time_column = \"startTime\"", "");
    lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    for (from, to) in [
        ("key = [\"interactionId\"]", "key = [\"interactionId\"]\ntime_column = \"startTime\""),
        ("max_quarantined_percent = 20.0", "max_quarantined_percent = 20.0\nunknown_key = \"quarantine\""),
        ("page_records = 500", "page_records = 500\nmax_record_mib = 2"),
    ] {
        lab.replace(from, to);
        assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["committed"], "{to}");
        assert_eq!(lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).statuses(), ["unchanged"], "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_does_not_look_back_again() {
    let mut lab = Lab::start(tenant(100)).await;
    lab.replace("page_records = 500", "page_records = 500\nlookback_days = 2");
    let shards = lab.cxlake(&["plan", "--json", "--date", "2024-01-03"]).expect(0).stdout;
    let shards: Vec<serde_json::Value> = serde_json::from_str(&shards).unwrap();
    assert_eq!(shards.len(), 3);
    assert_eq!(lab.cxlake(&["run", "--shard", &shards[2].to_string()]).expect(0).statuses(), ["committed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_have_settled_do_not_wait_for_one_that_has_not() {
    let lab = Lab::start(tenant(100)).await;
    let zone: chrono_tz::Tz = lab.simulator.settings().time_zone.parse().unwrap();
    let today = chrono::Utc::now().with_timezone(&zone).date_naive();
    let (from, to) = ((today - chrono::Days::new(2)).to_string(), (today + chrono::Days::new(1)).to_string());
    let outcome = lab.cxlake(&["run", "--from", &from, "--to", &to]).expect(5);
    assert_eq!(outcome.summary()["status"], "partial");
    assert_eq!(outcome.statuses()[0], "committed");
    assert_eq!(outcome.statuses()[2], "failed");
    assert!(outcome.summary()["retry_after_seconds"].as_u64().unwrap() > 0);
    let planned = lab.cxlake(&["plan", "--from", &from, "--to", &to]).expect(0).stdout;
    let waits: Vec<bool> = planned.lines().take(3).map(|line| line.contains(", not before ")).collect();
    assert_eq!(waits, [false, waits[1], true], "{planned}");
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_beat_the_environment() {
    let lab = Lab::start(tenant(100)).await;
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let output = lab.command(arguments).envs(variables.iter().copied()).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let summary: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        (output.status.code().unwrap(), summary["windows"][0]["window"]["date"].as_str().map(str::to_owned))
    };
    let date = [("CXLAKE_DATE", "2024-02-01"), ("CXLAKE_QUIET", "1"), ("CXLAKE_TENANT", "")];
    assert_eq!(run(&["run"], &date), (0, Some("2024-02-01".to_owned())));
    let days = ["run", "--from", "2024-01-05", "--to", "2024-01-06"];
    assert_eq!(run(&days, &date), (0, Some("2024-01-05".to_owned())));
    assert_eq!(run(&["run"], &[]), (2, None));
    assert_eq!(run(&["run"], &[("CXLAKE_DATE", "2024-02-01"), ("CXLAKE_WINDOW", "a/b")]), (2, None));
    let empty = ["CONFIG", "LOG_FORMAT", "QUIET", "VERBOSE", "EMPTY", "SUMMARY_FILE", "WINDOW"];
    let empty: Vec<(String, &str)> = empty.iter().map(|name| (format!("CXLAKE_{name}"), "")).collect();
    let empty: Vec<(&str, &str)> = empty.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    assert_eq!(run(&days, &empty).0, 0);
    assert_eq!(run(&days, &[("CXLAKE_VERBOSE", "true")]).0, 0);
    assert_eq!(lab.command(&days).env("CXLAKE_VERBOSE", "much").output().unwrap().status.code(), Some(2));
    for (flag, is_told) in [(None, false), (Some("-v"), true)] {
        let output = lab.command(&days).args(flag).env("CXLAKE_QUIET", "1").output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap().contains("window ended"), is_told, "{flag:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_logs_are_json_and_stdout_is_the_summary_alone() {
    let lab = Lab::start(tenant(100)).await;
    for arguments in [["run", "--date", "2024-01-01"], ["run", "--date", "2024-01-01x"], ["run", "--report", "cals"]] {
        let output = lab.command(&arguments).args(["--log-format", "json"]).output().unwrap();
        if arguments[2].ends_with('x') {
            assert_eq!(output.status.code(), Some(2), "clap's own errors are for people");
            continue;
        }
        for line in String::from_utf8(output.stderr).unwrap().lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        }
        assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_a_log_line_a_page_and_people_do_not() {
    let lab = Lab::start(tenant(1_200)).await;
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0);
    let lines = outcome.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let pages: Vec<_> = lines.filter(|line| line["message"] == "page read").collect();
    let rows = |line: &serde_json::Value| line["rows"].as_u64().unwrap();
    assert!(pages.len() >= 3 && pages.iter().all(|line| rows(line) <= 500), "{pages:?}");
    let first = &pages[0];
    let of = [&first["tenant"], &first["report"], &first["window"]];
    assert_eq!(of, ["acme", "calls", "20240101T050000Z-20240102T050000Z"]);
    assert_eq!((&first["attempt"], &first["http_status"]), (&1.into(), &200.into()));
    let text = lab.cxlake(&["run", "--date", "2024-01-01", "--log-format", "text"]).expect(0).stderr;
    assert!(text.contains("window ended") && !text.contains("page read"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_proves_what_came() {
    let lab = Lab::start(tenant(1_200)).await;
    let summary = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).summary();
    let manifest = std::fs::read_to_string(summary["windows"][0]["manifest"].as_str().unwrap()).unwrap();
    let done: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let pages = done["pages"]["each"].as_array().unwrap();
    assert_eq!(done["pages"]["count"], pages.len() as u64);
    let mut next = 0;
    for page in pages {
        assert_eq!(page["first_offset"], next);
        assert_eq!(page["xxh3"].as_str().unwrap().len(), 32);
        next += page["records"].as_u64().unwrap();
    }
    assert_eq!(done["rows"]["fetched"], next);
    // The first page, as the tenant sent it.
    let first = usize::try_from(pages[0]["records"].as_u64().unwrap()).unwrap();
    let sent: Vec<String> = lab.truth("2024-01-01", "2024-01-02").take(first).map(|record| record.raw).collect();
    let expected = format!("{:032x}", twox_hash::XxHash3_128::oneshot(sent.join(",").as_bytes()));
    assert_eq!(pages[0]["xxh3"], expected);
}
