//! Traces and metrics by OTLP.

use cxlake_simulator::{CallKind, Fault, TenantSettings};
use serde_json::{Value, json};

use crate::support::faults::{small, status};
use crate::support::{Lab, Outcome, Post, Running, posts, python};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn run(lab: &Lab, code: i32, variables: &[(&str, &str)]) -> Outcome {
    let mut command = lab.command(&["run", "--date", "2024-01-01", "--metrics-file", "run.prom"]);
    // Spans go all at once, at the end: the collector takes two requests.
    command.env("OTEL_BSP_SCHEDULE_DELAY", "600000").envs(variables.iter().copied());
    Outcome::of(command).expect(code)
}

/// What a collector was sent, as OpenTelemetry's own types read it.
fn read(lab: &Lab, posted: &[Post]) -> Value {
    let file = |path: &str| {
        let found = posted.iter().find(|post| post.path == path).unwrap_or_else(|| panic!("{path}: {posted:?}"));
        let file = lab.folder().join(path.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&file, &found.body).unwrap();
        file.display().to_string()
    };
    let (traces, metrics) = (file("/v1/traces"), file("/v1/metrics"));
    serde_json::from_str(&python("telemetry.py", &[&traces, &metrics])).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_a_trace_of_its_parent_and_its_metrics_are_exported() {
    let lab = Lab::start(small()).await;
    let (url, collector) = posts(2, "200 OK");
    let outcome = run(&lab, 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("TRACEPARENT", PARENT)]);
    let exported = read(&lab, &collector.join().unwrap());
    assert_eq!(exported["resource"]["service.name"], "cxlake");
    let spans = exported["spans"].as_array().unwrap();
    let line = outcome.stderr.lines().find(|line| line.contains("window ended")).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    for span in spans {
        assert_eq!(span["trace"], line["trace_id"], "{span}");
    }
    let mut parents: Vec<String> =
        spans.iter().map(|span| format!("{} of {}", span["name"], span["parent"]).replace('"', "")).collect();
    parents.sort();
    parents.dedup();
    let expected = [
        "commit of window",
        "cxlake run of 00f067aa0ba902b7",
        "extract of window",
        "page of extract",
        "type of extract",
        "window of cxlake run",
        "write of extract",
    ];
    assert_eq!(parents, expected);
    let rows = &outcome.summary()["windows"][0]["rows"];
    let window = spans.iter().find(|span| span["name"] == "window").unwrap();
    assert_eq!(window["attributes"]["accepted"], rows["accepted"], "{window}");
    let accepted = exported["metrics"]["cxlake_rows"].as_array().unwrap();
    let labels = json!({ "tenant": "acme", "report": "calls", "outcome": "accepted" });
    let accepted = accepted.iter().find(|sample| sample["labels"] == labels).unwrap();
    assert_eq!(accepted["value"].as_f64(), rows["accepted"].as_f64());
    let text = std::fs::read_to_string(lab.folder().join("run.prom")).unwrap();
    for name in exported["metrics"].as_object().unwrap().keys() {
        assert!(text.contains(&format!("# TYPE {name} gauge")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_a_failed_trace_which_its_log_names() {
    let lab = Lab::start(small()).await;
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::Token, status(401, None)) });
    let (url, collector) = posts(2, "200 OK");
    let outcome = run(&lab, 3, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url), ("OTEL_SERVICE_NAME", "nightly")]);
    let exported = read(&lab, &collector.join().unwrap());
    assert_eq!(exported["resource"]["service.name"], "nightly");
    let root = &exported["spans"][0];
    let line: Value = serde_json::from_str(outcome.stderr.lines().next().unwrap()).unwrap();
    assert_eq!(root["trace"], line["trace_id"]);
    assert_eq!(exported["resource"]["service.instance.id"], outcome.summary()["run_id"]);
    assert_eq!((&root["status"], &root["message"]), (&json!(2), &outcome.summary()["error"]["message"]));
    assert_eq!(exported["metrics"]["cxlake_run_exit_code"][0]["value"], 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_is_a_whole_trace_too() {
    let lab = Lab::start(TenantSettings { latency_ms: 1500, ..small() }).await;
    let (url, collector) = posts(2, "200 OK");
    let mut command = lab.command(&["run", "--date", "2024-01-01"]);
    command.env("OTEL_BSP_SCHEDULE_DELAY", "600000").env("OTEL_EXPORTER_OTLP_ENDPOINT", &url);
    let running = Running::start(command);
    let calls = || lab.simulator.calls().iter().filter(|call| call.path.contains("data-download")).count();
    while calls() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.signal("TERM");
    running.end().expect(143);
    let exported = read(&lab, &collector.join().unwrap());
    let names: Vec<&str> =
        exported["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"window") && names.contains(&"cxlake run"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_is_missing_or_is_misspelt_fails_no_run() {
    let lab = Lab::start(small()).await;
    let (url, collector) = posts(2, "400 Bad Request");
    let outcome = run(&lab, 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    assert!(outcome.stderr.contains("not exported"), "{}", outcome.stderr);
    collector.join().unwrap();
    for endpoint in ["http://127.0.0.1:9", "nowhere at all"] {
        let outcome = run(&lab, 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]);
        assert!(outcome.stderr.contains("exported"), "{endpoint}: {}", outcome.stderr);
    }
    for (name, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")] {
        let outcome = run(&lab, 0, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere at all"), (name, value)]);
        assert!(!outcome.stderr.contains("exported"), "{}", outcome.stderr);
    }
}
