//! What is written follows the schemas that we promise.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Lab, python, tenant};

fn schema(of: &str) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_cxlake")).args(["schema", of]).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(of: &str, instance: &Value) {
    let validator = jsonschema::validator_for(&schema(of)).unwrap();
    let errors: Vec<String> = validator.iter_errors(instance).map(|error| error.to_string()).collect();
    assert_eq!(errors, [] as [String; 0], "{of}: {instance}");
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn all_schemas_are_printed_together_too() {
    let output = Command::new(env!("CARGO_BIN_EXE_cxlake")).arg("schema").output().unwrap();
    let all: Value = serde_json::from_slice(&output.stdout).unwrap();
    for of in ["configuration", "manifest", "registry", "run", "summary"] {
        assert_eq!(all[of], schema(of), "{of}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn summaries_manifests_and_registries_follow_their_schemas() {
    let lab = Lab::start(tenant(500)).await;
    check("summary", &lab.cxlake(&["run", "--date", "2024-01-01"]).expect(0).summary());
    check("summary", &lab.cxlake(&["run", "--date", "2024-01-01", "--report", "call"]).expect(2).summary());
    let manifests = lab.lake().join("acme/calls/manifests/dt=2024-01-01");
    for kind in ["plan", "done"] {
        let name = format!("20240101T050000Z-20240102T050000Z-000001.{kind}.json");
        check("manifest", &read(&manifests.join(name)));
    }
    let registry = lab.lake().join("acme/registry/v0001.json");
    check("registry", &read(&registry));
    let runs = std::fs::read_dir(lab.lake().join("acme/runs")).unwrap().map(|entry| entry.unwrap().path());
    let runs: Vec<_> = runs.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    runs.iter().for_each(|run| check("run", &read(run)));
    assert_eq!(runs.len(), 1, "one cannot start, for its report is not known");
    // Any validator can check records with the schema that the registry holds.
    let truth: Vec<String> = lab
        .truth("2024-01-01", "2024-01-02")
        .map(|record| {
            let accepted = !matches!(record.verdict, cxlake_simulator::truth::Verdict::Quarantined { .. });
            serde_json::json!({"accepted": accepted, "raw": record.raw}).to_string()
        })
        .collect();
    let records = lab.folder().join("records.ndjson");
    std::fs::write(&records, truth.join("\n")).unwrap();
    python("record_schema.py", &[registry.to_str().unwrap(), records.to_str().unwrap()]);
}
