//! The operator of `python/cxlake/airflow.py` and the example DAGs, run by Airflow 3.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cxlake_simulator::{CallKind, Fault, TenantSettings};
use serde_json::{Value, json};

use crate::support::faults::{on_page, small, status};
use crate::support::{Fate, Lab, Outcome, Running, free_port};
use crate::warehouses::House;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the virtual environment that has Airflow, with the binary on its path.
fn airflow(home: &Path, program: &str) -> Command {
    let bin = root().join("target/airflow/bin");
    assert!(bin.join(program).exists(), "Airflow is missing: `make test` installs it");
    let binary = Path::new(env!("CARGO_BIN_EXE_cxlake")).parent().unwrap();
    let settings = TenantSettings::default();
    let mut command = Command::new(bin.join(program));
    command
        .env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()))
        .env("PYTHONPATH", root().join("python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AIRFLOW_HOME", home)
        .env("AIRFLOW__CORE__DAGS_FOLDER", root().join("python/examples"))
        .env("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        .env("AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY", "1")
        .env("CXONE_CLIENT_ID", settings.client_id)
        .env("CXONE_CLIENT_SECRET", settings.client_secret);
    command
}

/// A scenario of `dags.py`.
fn scenario(lab: &Lab, dag: &str, conf: &Value) -> Value {
    // The configuration is written where the binary finds it.
    drop(lab.command(&[]));
    json!({ "dag": dag, "config": lab.folder().join("cxlake.toml"), "conf": conf })
}

/// Where Airflow keeps what it knows.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let mut migrate = airflow(home.path(), "airflow");
    migrate.args(["db", "migrate"]);
    Outcome::of(migrate).expect(0);
    home
}

/// What became of each scenario, run one after the other on one database.
fn run(scenarios: &[Value]) -> Vec<Value> {
    run_from(&root().join("python/examples"), scenarios)
}

/// The same of DAGs in a folder.
fn run_from(dags: &Path, scenarios: &[Value]) -> Vec<Value> {
    let home = home();
    let mut python = airflow(home.path(), "python");
    python.env("AIRFLOW__CORE__DAGS_FOLDER", dags);
    python.arg(root().join("tests/it/python/dags.py")).arg(json!(scenarios).to_string());
    let outcome = Outcome::of(python).expect(0);
    let lines = outcome.stdout.lines().filter(|line| line.starts_with("{\"state\""));
    let ended: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ended.len(), scenarios.len(), "{outcome:?}");
    ended
}

fn states(ended: &Value) -> Vec<(&str, &str, u64)> {
    let tasks = ended["tasks"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned().leak() as &str;
    tasks.map(|task| (text(&task["task"]), text(&task["state"]), task["tries"].as_u64().unwrap_or_default())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_end_as_the_binary_did() {
    let daily = |lab: &Lab| scenario(lab, "cxlake_daily", &json!({}));
    let plain = Lab::start(small()).await;
    let empty = Lab::start(TenantSettings { records_per_day: 0, ..small() }).await;
    let denied = Lab::start(small()).await;
    denied.simulator.play(Fault { times: 0, ..Fault::new(CallKind::Token, status(401, None)) });
    let mut storm = Lab::start(small()).await;
    storm.replace("retry_attempts = 4", "retry_attempts = 4\nretry_elapsed_secs = 2");
    storm.simulator.play(on_page(0, status(429, Some("6"))));
    let killed = Lab::start(TenantSettings { latency_ms: 1000, ..small() }).await;
    let mut killing = daily(&killed);
    killing["kill"] = json!(1.5);
    let ended = run(&[daily(&plain), daily(&empty), daily(&denied), daily(&storm), killing]);

    assert_eq!(states(&ended[0]), [("run", "success", 1)]);
    let summary = &ended[0]["tasks"][0]["returned"];
    let rows = &summary["windows"][0]["rows"]["accepted"];
    assert_eq!(ended[0]["events"][0]["rows"], *rows, "{}", ended[0]["events"]);
    assert_eq!(ended[0]["events"][0]["manifests"], json!([summary["windows"][0]["manifest"]]));
    plain.compare_day(&plain.lake(), "2024-01-01", false);

    assert_eq!(states(&ended[1]), [("run", "skipped", 1)]);
    assert_eq!(states(&ended[2]), [("run", "failed", 1)], "what no retry can mend is not tried again");
    assert_eq!(states(&ended[3]), [("run", "success", 2)]);
    let seconds = ended[3]["seconds"].as_f64().unwrap();
    assert!(seconds > 6.0, "the second try waited for the tenant: {seconds} s");
    assert_eq!(states(&ended[4]), [("run", "success", 2)]);
    killed.compare_day(&killed.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_are_a_task_each_and_a_backfill_leaves_them_alone() {
    let mut lab = Lab::start(small()).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 4\nretry_elapsed_secs = 2");
    lab.simulator.play(on_page(0, status(429, Some("20"))));
    let week = json!({ "from": "2024-01-01", "to": "2024-01-04" });
    let ended = run(&[scenario(&lab, "cxlake_sharded", &week), scenario(&lab, "cxlake_backfill", &week)]);
    let run = ("run", "success", 1);
    let mut sharded = states(&ended[0]);
    sharded.sort_unstable();
    assert_eq!(sharded, [("plan", "success", 1), run, run, ("run", "success", 2)]);
    let seconds = ended[0]["seconds"].as_f64().unwrap();
    assert!(seconds > 20.0, "a mapped task waits for the tenant too: {seconds} s");
    assert_eq!(states(&ended[1]), [run]);
    let windows = ended[1]["tasks"][0]["returned"]["windows"].as_array().unwrap();
    let statuses: Vec<&str> = windows.iter().map(|window| window["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["unchanged"; 3]);
    for day in ["2024-01-01", "2024-01-02", "2024-01-03"] {
        lab.compare_day(&lab.lake(), day, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_the_readme_works_as_it_stands_there() {
    let lab = Lab::start(small()).await;
    let [block] = crate::readme::blocks("For Airflow and other programs", "python").try_into().unwrap();
    let dags = lab.folder().join("dags");
    std::fs::create_dir(&dags).unwrap();
    std::fs::write(dags.join("readme.py"), block).unwrap();
    let ended = run_from(&dags, &[scenario(&lab, "cxlake", &json!({}))]);
    assert_eq!(states(&ended[0]), [("run", "success", 1)]);
    // The newest interval of its schedule that is over on 2024-01-02 at midnight.
    lab.compare_day(&lab.lake(), "2023-12-31", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_is_a_task_of_its_own() {
    let house = House::snowflake(small()).await;
    house.proxy.rule(|_| Fate::Refused(403, "denied"));
    house.run(&["--date", "2024-01-01"], 8);
    house.proxy.rule(|_| Fate::Forwarded);
    let ended = run(&[scenario(&house.lab, "cxlake_load", &json!({}))]);
    assert_eq!(states(&ended[0]), [("load", "success", 1)]);
    assert_eq!(House::statuses(&ended[0]["tasks"][0]["returned"]), ["loaded"]);
    house.holds_the_lake("data", "calls");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a whole Airflow: `make test-slow` runs it"]
async fn shards_run_at_once_under_the_local_executor() {
    let lab = Lab::start(TenantSettings { latency_ms: 1000, ..small() }).await;
    let home = home();
    let mut standalone = airflow(home.path(), "python");
    let sharded = scenario(&lab, "cxlake_sharded", &json!({ "from": "2024-01-01", "to": "2024-01-05" }));
    standalone.arg(root().join("tests/it/python/standalone.py")).args([sharded.to_string(), free_port().to_string()]);
    let ended = Outcome::of(standalone).expect(0);
    let ended: Value = serde_json::from_str(ended.stdout.lines().last().unwrap_or_default()).unwrap();
    assert_eq!(ended["state"], "success", "{ended}");
    assert_eq!(ended["tasks"].as_array().unwrap().len(), 5, "{ended}");
    assert!(ended["at_once"].as_u64().unwrap() >= 2, "{ended}");
    for day in ["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"] {
        lab.compare_day(&lab.lake(), day, false);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_killed_stops_the_binary() {
    let lab = Lab::start(TenantSettings { latency_ms: 2000, ..small() }).await;
    drop(lab.command(&[]));
    let home = tempfile::tempdir().unwrap();
    let mut python = airflow(home.path(), "python");
    python.arg(root().join("tests/it/python/on_kill.py")).arg(lab.folder().join("cxlake.toml"));
    let outcome = Outcome::of(python).expect(0);
    let last = outcome.stdout.lines().last().unwrap_or_default();
    assert!(last.starts_with("CxlakeError ") && last.contains("(exit code 143)"), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_gone_leaves_no_binary_behind() {
    let lab = Lab::start(TenantSettings { latency_ms: 20_000, ..small() }).await;
    drop(lab.command(&[]));
    let home = tempfile::tempdir().unwrap();
    let mut python = airflow(home.path(), "python");
    python.arg(root().join("tests/it/python/run_day.py")).arg(lab.folder().join("cxlake.toml"));
    let task = Running::start(python);
    let children = || {
        let path = format!("/proc/{0}/task/{0}/children", task.id());
        std::fs::read_to_string(path).unwrap_or_default().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let is_binary = |child: &String| {
        std::fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name.trim() == "cxlake")
    };
    while lab.simulator.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let binary = children().into_iter().find(is_binary).unwrap();
    task.signal("KILL");
    for _ in 0..200 {
        if !is_binary(&binary) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the binary still runs");
}

#[test]
fn arguments_and_ends_are_what_airflow_needs() {
    let home = tempfile::tempdir().unwrap();
    let mut python = airflow(home.path(), "python");
    python.arg(root().join("tests/it/python/returned.py"));
    Outcome::of(python).expect(0);
}
