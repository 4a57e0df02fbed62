//! Lineage as OpenLineage has it.

use cxlake_simulator::{CallKind, Fault};
use serde_json::{Value, json};

use crate::support::faults::{small, status};
use crate::support::{Lab, installed_file, python, webhook};

/// The events of a run, which are OpenLineage's.
fn events(lab: &Lab, code: i32, variables: &[(&str, &str)]) -> Vec<Value> {
    let file = lab.folder().join("lineage.ndjson");
    let mut command = lab.command(&["run", "--date", "2024-01-01", "--lineage-file", &file.display().to_string()]);
    command.envs(variables.iter().copied());
    crate::support::Outcome::of(command).expect(code);
    let schemas = installed_file("openlineage");
    python("lineage.py", &[&file, &schemas].map(|path| path.to_str().unwrap()));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_where_its_rows_come_from_column_by_column() {
    let lab = Lab::start(small()).await;
    let parent = [("OPENLINEAGE_PARENT_ID", "airflow/daily.run/0190b5f5-0000-7000-8000-000000000001")];
    let events = events(&lab, 0, &parent);
    let [started, ended] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((&started["eventType"], &ended["eventType"]), (&Value::from("START"), &Value::from("COMPLETE")));
    assert_eq!(started["run"]["runId"], ended["run"]["runId"]);
    assert_eq!(ended["job"]["name"], "acme.calls");
    assert_eq!(ended["run"]["facets"]["parent"]["job"]["name"], "daily.run");
    assert_eq!(ended["run"]["facets"]["nominalTime"]["nominalStartTime"], "2024-01-01T05:00:00Z");
    let outputs = ended["outputs"].as_array().unwrap();
    assert_eq!(outputs[0]["name"].as_str().unwrap(), lab.lake().join("acme/calls/data").display().to_string());
    let lineage = &outputs[0]["facets"]["columnLineage"]["fields"]["cm_9f8e7d6c5b4a3210"]["inputFields"][0];
    assert_eq!(
        (&lineage["name"], &lineage["field"]),
        (&Value::from("Interaction/Call"), &Value::from("customMetrics.cm_9f8e7d6c5b4a3210"))
    );
    let rows = |output: usize| outputs[output]["outputFacets"]["outputStatistics"]["rowCount"].as_u64().unwrap();
    let assertions = ended["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"].as_array().unwrap();
    assert!(assertions[0]["success"] == true && rows(0) > 1_000);
    let rejected: u64 =
        assertions[1..].iter().map(|reject| reject["actual"].as_str().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(rejected, rows(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_told_to_a_server_and_a_server_that_fails_fails_no_run() {
    let lab = Lab::start(small()).await;
    lab.simulator.play(Fault { times: 0, ..Fault::new(CallKind::Token, status(401, None)) });
    let (url, server) = webhook(2, "201 Created");
    let told = events(&lab, 3, &[("OPENLINEAGE_URL", &url)]);
    assert_eq!(told[1]["eventType"], "FAIL");
    let facets = [&told[1]["inputs"][0]["facets"], &told[1]["inputs"][0]["inputFacets"]];
    assert_eq!(facets, [&json!({}), &json!({})], "nothing is known of what was never read");
    assert!(told[1]["run"]["facets"]["errorMessage"]["message"].as_str().unwrap().starts_with("failed to "));
    let posted: Vec<Value> = server.join().unwrap().iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(posted, told);
    let mut lab = Lab::start(small()).await;
    let again = lab.report_again("other");
    lab.add(&again);
    let all = events(&lab, 0, &[("OPENLINEAGE_URL", "http://127.0.0.1:9")]);
    assert_eq!(all.len(), 4, "the file has the events of both reports");
}
