//! The main job on an embedded tenant and a local lake.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use chrono::NaiveDate;
use cxlake_simulator::{Simulator, TenantSettings};

use super::arguments::DemoCommand;
use super::commands::environment;
use super::{render, signals};
use crate::report::{lake_page, run_page};
use crate::run::summary::Summary;
use crate::run::{self, CommittedDays, Engine, RunRecord, RunReport, RunRequest, Span};
use crate::settings::{Settings, Surroundings, read_settings};
use crate::vocabulary::{Failure, NoProgress, Progress};

/// One record in so many breaks a rule, by turns each rule there is.
const BAD_EVERY: u64 = 97;
/// The page of the lake.
const REPORT: &str = "report.html";
/// Its views for DuckDB.
const VIEWS: &str = "views.sql";

pub(super) async fn demo(command: &DemoCommand, progress: Option<Arc<dyn Progress>>) -> u8 {
    let outcome = signals::unless_interrupted(run_demo(command, progress)).await.and_then(|outcome| outcome);
    match outcome {
        Ok(summary) => summary.exit_code,
        Err(failure) => {
            render::failure(&failure);
            failure.kind.exit_code()
        }
    }
}

async fn run_demo(command: &DemoCommand, progress: Option<Arc<dyn Progress>>) -> Result<Summary, Failure> {
    let tenant = TenantSettings {
        records_per_day: command.records_per_day,
        bad_every: BAD_EVERY,
        unknown_every: 1009,
        gzip: true,
        ..TenantSettings::default()
    };
    let simulator = Simulator::start(tenant)
        .await
        .map_err(|error| Failure::unavailable(format!("start the embedded tenant: {error}")))?;
    let settings = simulator.settings();
    let text = configuration(&simulator.url(), &command.folder.display().to_string());
    let variable = |name: &str| match name {
        "CXONE_CLIENT_ID" => Some(settings.client_id.clone()),
        "CXONE_CLIENT_SECRET" => Some(settings.client_secret.clone()),
        _ => None,
    };
    let surroundings = Surroundings { variable: &variable, text_file: &|path| std::fs::read_to_string(path) };
    let settings = read_settings("the demo's configuration", &text, &surroundings)?;
    let environment = environment(progress.unwrap_or_else(|| Arc::new(NoProgress)));
    let record = RunRecord::new(&environment.run_id);
    let day = |day| NaiveDate::from_ymd_opt(2024, 1, day).unwrap_or_default();
    let span = Span::Days { from: day(1), to: day(4) };
    let request = RunRequest {
        tenants: Vec::new(),
        reports: Vec::new(),
        span,
        skip_committed: false,
        look_back: true,
        of_large_run: false,
    };
    let started_at = environment.now_text();
    run::run(&settings, &request, &environment, &record).await;
    let summary = record.summary();
    let report = RunReport::new(&record, summary.clone(), started_at, &environment);
    run::keep_run_report(&record, &report, &run_page).await;
    if let Some(error) = &summary.error {
        render::error(&error.message, error.hint.as_deref());
    } else {
        write_for_people(&settings, &request, &command.folder).await?;
        render::text(&story(&summary, &record.rejects(), &command.folder.display().to_string()));
    }
    Ok(summary)
}

/// The page of the lake, and views of it, beside the tenant's folder.
async fn write_for_people(settings: &Settings, request: &RunRequest, folder: &Path) -> Result<(), Failure> {
    let report = run::lake_report(settings, request, CommittedDays::default()).await?;
    let page = lake_page("cxlake demo", &report, &settings.masked);
    let views = run::views(settings, request, Engine::DuckDb).await?;
    for (name, text) in [(REPORT, page), (VIEWS, views)] {
        let file = folder.join(name);
        std::fs::write(&file, text).map_err(|error| {
            Failure::unavailable(format!("write {}: {error}", file.display()))
                .hint("name a folder with room that may be written to: --folder")
        })?;
    }
    Ok(())
}

fn configuration(url: &str, lake: &str) -> String {
    // A JSON string is a TOML string too.
    let lake = serde_json::Value::String(lake.to_owned());
    format!(
        r#"
[tenants.demo]
auth_url = "{url}"
client_id = {{ env = "CXONE_CLIENT_ID" }}
client_secret = {{ env = "CXONE_CLIENT_SECRET" }}
[tenants.demo.regions]
na1 = "{url}"
[tenants.demo.limits]
requests_per_second = 200.0
burst = 50
[tenants.demo.custom_metrics."cm_9f8e7d6c5b4a3210"]
type = "decimal(9,6)"

[reports.calls]
tenant = "demo"
report = "Interaction/Call"
metrics = ["duration", "holdTime", "wrapUpTime", "talkTime"]
custom_metrics = "*"
group_by = ["interactionId", "agentId", "dispositionCode", "startTime"]
key = ["interactionId"]
time_column = "startTime"
page_records = 5000
[reports.calls.columns]
startTime = {{ type = "timestamp" }}

[lake]
url = {lake}
"#
    )
}

/// What was written, what was rejected and why, and how to look at it.
fn story(summary: &Summary, rejects: &BTreeMap<(String, String), u64>, folder: &str) -> String {
    let mut story = String::new();
    let mut line = |text: String| {
        let _infallible = writeln!(story, "{text}");
    };
    line("Written:".to_owned());
    for window in &summary.windows {
        line(format!(
            "  {} {:>8} rows, {:>4} rejects, {:>8} bytes, {}",
            window.window.date,
            window.rows.accepted.unwrap_or_default(),
            window.rows.quarantined.unwrap_or_default(),
            window.bytes.unwrap_or_default(),
            window.status.name()
        ));
    }
    if !rejects.is_empty() {
        line("\nRejected, with their exact text, into quarantine/:".to_owned());
        for ((rule, path), count) in rejects {
            let place = if path.is_empty() { "the record" } else { path };
            line(format!("  {count:>6}  {rule:<16} {place}"));
        }
    }
    if !summary.drift.is_empty() {
        line("\nKeys that nobody asked for, kept in the column _unmapped:".to_owned());
        let keys: std::collections::BTreeSet<&str> = summary.drift.iter().map(|event| event.id.as_str()).collect();
        for key in keys {
            line(format!("  {key}"));
        }
    }
    line(format!(
        "\nViews with the names that people know: duckdb -init {folder}/{VIEWS}\nIts runs, rejects and drift on a page: \
         {folder}/{REPORT}"
    ));
    line("\nLook at it with DuckDB (pip install duckdb, or the duckdb shell):".to_owned());
    line(format!(
        "\n  SELECT dt, count(*) AS calls, round(avg(duration), 1) AS seconds,\n         avg(cm_9f8e7d6c5b4a3210) AS sentiment\n  FROM read_parquet('{folder}/demo/calls/data/**/*.parquet', hive_partitioning = true, union_by_name = true)\n  GROUP BY dt ORDER BY dt;"
    ));
    line(format!(
        "\n  SELECT rule, path, raw_record\n  FROM read_parquet('{folder}/demo/calls/quarantine/**/*.parquet', hive_partitioning = true, union_by_name = true)\n  LIMIT 5;"
    ));
    story
}
