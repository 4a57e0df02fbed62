use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use chrono::{Days, NaiveDate, NaiveTime};
use cxlake_simulator::truth::{Request, TrueRecord, Verdict, records};
use cxlake_simulator::{Simulator, TenantSettings};
use serde_json::Value;
use tempfile::TempDir;

use super::python::python;

/// A tenant with every kind of record.
pub(crate) fn tenant(records_per_day: u64) -> TenantSettings {
    TenantSettings {
        records_per_day,
        bad_every: 41,
        duplicate_every: 97,
        unknown_every: 53,
        gzip: true,
        ..TenantSettings::default()
    }
}

/// A tenant, and a folder with a configuration and a lake.
pub(crate) struct Lab {
    pub(crate) simulator: Simulator,
    folder: TempDir,
    configuration: String,
    lake: String,
}

/// A command that runs; a test that fails takes it along.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let arguments = [format!("-{name}"), self.id().to_string()];
        assert!(Command::new("kill").args(arguments).status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Outcome {
        Outcome::of_output(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// How the binary ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    pub(crate) fn of(command: Command) -> Self {
        Running::start(command).end()
    }

    fn of_output(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The last line of stdout.
    pub(crate) fn summary(&self) -> Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The error that ended the run, as people read it.
    pub(crate) fn complaint(&self) -> String {
        complaint(&self.stderr)
    }

    /// The error of the summary.
    pub(crate) fn message(&self) -> String {
        self.summary()["error"]["message"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn statuses(&self) -> Vec<String> {
        let windows = self.summary()["windows"].as_array().cloned().unwrap_or_default();
        windows.iter().map(|window| window["status"].as_str().unwrap_or_default().to_owned()).collect()
    }

    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.stdout, self.stderr);
        // Every failure says what to do about it.
        if let Some(error) = self.stdout.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok()) {
            assert!(!error["error"].is_object() || error["error"]["hint"].is_string(), "{error}");
        }
        self
    }
}

/// The last error of a log of JSON lines, with its hint.
pub(crate) fn complaint(log: &str) -> String {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let Some(last) = lines.rfind(|line| line["level"] == "ERROR" && line["message"].is_string()) else {
        return log.to_owned();
    };
    let mut text = format!("error: {}", last["message"].as_str().unwrap_or_default());
    if let Some(hint) = last["hint"].as_str() {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    text
}

const METRICS: [&str; 4] = ["duration", "holdTime", "wrapUpTime", "talkTime"];
const GROUP_BY: [&str; 4] = ["interactionId", "agentId", "dispositionCode", "startTime"];

impl Lab {
    pub(crate) async fn start(settings: TenantSettings) -> Self {
        let simulator = Simulator::start(settings).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let lake = folder.path().join("lake").display().to_string();
        let url = simulator.url();
        let configuration = format!(
            r#"[tenants.acme]
auth_url = "{url}"
client_id = {{ env = "CXONE_CLIENT_ID" }}
client_secret = {{ env = "CXONE_CLIENT_SECRET" }}

[tenants.acme.regions]
na1 = "{url}"

[tenants.acme.limits]
requests_per_second = 1000.0
burst = 100
retry_attempts = 4

[tenants.acme.custom_metrics."cm_9f8e7d6c5b4a3210"]
type = "decimal(9,6)"

[reports.calls]
tenant = "acme"
report = "Interaction/Call"
metrics = ["duration", "holdTime", "wrapUpTime", "talkTime"]
custom_metrics = "*"
group_by = ["interactionId", "agentId", "dispositionCode", "startTime"]
key = ["interactionId"]
time_column = "startTime"
page_records = 500

[reports.calls.columns]
startTime = {{ type = "timestamp" }}

[reports.calls.policy]
max_quarantined_percent = 20.0

[lake]
url = "{lake}"
"#
        );
        Self { simulator, folder, configuration, lake }
    }

    /// A lab whose lake is in a store.
    pub(crate) async fn on_store(settings: TenantSettings, url: &str, options: &str) -> Self {
        let mut lab = Self::start(settings).await;
        let local = format!("url = \"{}\"", lab.lake().display());
        lab.replace(&local, &format!("url = \"{url}\""));
        lab.add(options);
        lab
    }

    /// Changes the configuration's text.
    #[track_caller]
    pub(crate) fn replace(&mut self, from: &str, to: &str) {
        assert!(self.configuration.contains(from), "{from}");
        self.configuration = self.configuration.replacen(from, to, 1);
    }

    pub(crate) fn add(&mut self, text: &str) {
        self.configuration.push_str(text);
    }

    /// The report `calls` once more, under another name.
    pub(crate) fn report_again(&self, name: &str) -> String {
        let (_, calls) = self.configuration.split_once("[reports.calls]").unwrap();
        let calls = calls.split("[lake]").next().unwrap().replace("[reports.calls.", &format!("[reports.{name}."));
        format!("[reports.{name}]{calls}")
    }

    pub(crate) fn configuration(&self) -> &str {
        &self.configuration
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn lake(&self) -> PathBuf {
        PathBuf::from(&self.lake)
    }

    /// The binary, ready to run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let path = self.folder.path().join("cxlake.toml");
        // In one step, and only where it is another: a command that was started before may be reading it.
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&self.configuration) {
            let new = path.with_extension("new");
            std::fs::write(&new, &self.configuration).unwrap();
            std::fs::rename(&new, &path).unwrap();
        }
        let settings = self.simulator.settings();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cxlake"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CXONE_CLIENT_ID", settings.client_id)
            .env("CXONE_CLIENT_SECRET", settings.client_secret)
            .stdin(Stdio::null());
        command
    }

    /// Starts the binary.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(arguments))
    }

    /// Waits until the tenant was asked for so many pages.
    pub(crate) fn wait_for_pages(&self, count: usize) {
        let pages = || self.simulator.calls().iter().filter(|call| call.path.ends_with("data-download")).count();
        while pages() < count {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Runs the binary to its end.
    pub(crate) fn cxlake(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments))
    }

    /// What the tenant truly has from a day to another, in its zone.
    pub(crate) fn truth(&self, from: &str, to: &str) -> impl Iterator<Item = TrueRecord> + use<> {
        let settings = self.simulator.settings();
        let zone: chrono_tz::Tz = settings.time_zone.parse().unwrap();
        let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_local_timezone(zone).unwrap();
        let request = Request {
            metrics: METRICS.map(str::to_owned).to_vec(),
            group_by: GROUP_BY.map(str::to_owned).to_vec(),
            custom_metrics: published(&settings),
            from_ms: midnight(from.parse().unwrap()).timestamp_millis(),
            to_ms: midnight(to.parse().unwrap()).timestamp_millis() - 1,
        };
        records(&settings, &request)
    }

    /// Compares every stored value of a day with the truth, by DuckDB; with `row_by_row` by pyarrow
    /// and exact fractions too. `lake` is where the tenant's folder is.
    pub(crate) fn compare_day(&self, lake: &Path, day: &str, row_by_row: bool) {
        let next = day.parse::<NaiveDate>().unwrap() + Days::new(1);
        let truth = self.folder.path().join(format!("truth-{day}.ndjson"));
        write_truth(&truth, self.truth(day, &next.to_string()));
        let columns = self.folder.path().join("columns.json");
        std::fs::write(&columns, column_types(&self.simulator.settings())).unwrap();
        let report = lake.join("acme/calls");
        let mut arguments = vec![report.to_str().unwrap(), day, truth.to_str().unwrap(), columns.to_str().unwrap()];
        if row_by_row {
            arguments.push("--row-by-row");
        }
        python("compare.py", &arguments);
        std::fs::remove_file(truth).unwrap();
    }
}

fn published(settings: &TenantSettings) -> Vec<String> {
    let metrics = settings.full_catalog();
    metrics.into_iter().filter(|metric| metric.status == "published").map(|metric| metric.id).collect()
}

fn write_truth(path: &Path, records: impl Iterator<Item = TrueRecord>) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let text = |text: &str| Value::from(text).to_string();
    let mut line = String::new();
    for record in records {
        let (verdict, rule, broken) = match &record.verdict {
            Verdict::Accepted => ("accepted", "", ""),
            Verdict::Duplicate => ("duplicate", "", ""),
            Verdict::Quarantined { rule, path } => ("quarantined", rule.as_str(), path.as_str()),
        };
        let values: Vec<String> =
            record.values.iter().map(|(pointer, value)| format!("{}:{}", text(pointer), text(value))).collect();
        line.clear();
        writeln!(
            line,
            r#"{{"offset":{},"verdict":"{verdict}","rule":"{rule}","path":{},"raw":{},"values":{{{}}}}}"#,
            record.offset,
            text(broken),
            text(&record.raw),
            values.join(",")
        )
        .unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    file.flush().unwrap();
}

/// For each column where its values are in a record, and their type.
fn column_types(settings: &TenantSettings) -> String {
    let mut columns = vec![
        ("/interactionId".to_owned(), "interaction_id".to_owned(), "string"),
        ("/agentId".to_owned(), "agent_id".to_owned(), "string"),
        ("/dispositionCode".to_owned(), "disposition_code".to_owned(), "string"),
        ("/startTime".to_owned(), "start_time".to_owned(), "timestamp"),
        ("/duration".to_owned(), "duration".to_owned(), "number"),
        ("/holdTime".to_owned(), "hold_time".to_owned(), "number"),
        ("/wrapUpTime".to_owned(), "wrap_up_time".to_owned(), "number"),
        ("/talkTime".to_owned(), "talk_time".to_owned(), "number"),
    ];
    for metric in settings.full_catalog().into_iter().filter(|metric| metric.status == "published") {
        let column_type = match (metric.id.as_str(), metric.data_type.as_str()) {
            ("cm_9f8e7d6c5b4a3210", _) => "decimal",
            (_, "number") => "number",
            (_, "integer") => "integer",
            (_, "boolean") => "boolean",
            _ => "string",
        };
        columns.push((format!("/customMetrics/{}", metric.id), metric.id, column_type));
    }
    serde_json::to_string(&columns).unwrap()
}
