//! What is kept of a run in the lake: its summary, and where its time and its rejects went
//! (contract, "The lake": `<lake>/<tenant>/runs/`).

use std::collections::BTreeSet;
use std::time::Duration;

use cxlake_sinks::lake::{Lake, tenant_folder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::summary::{ErrorSummary, RunStatus, Summary, WindowStatus};
use super::{Environment, RunRecord};
use crate::pipeline::StageTimes;
use crate::vocabulary::{Failure, FailureKind, RejectTally};

/// The format of run reports.
pub const RUN_FORMAT: &str = "cxlake.run/1";
/// How long the lake may take for a run's report: the run itself is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// A run as it is kept for one tenant: how its own windows ended, and nothing of the others'. What was
/// asked of tenants (`api`) is the whole run's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "cxlake run report")]
pub struct RunReport {
    /// `cxlake.run/1`.
    pub format: String,
    /// The version of cxlake.
    pub version: String,
    /// When the run began, RFC 3339 in UTC.
    pub started_at: String,
    /// When it ended.
    pub ended_at: String,
    /// What it said at its end.
    pub summary: Summary,
    /// Of each window of the summary, in the same order, what the summary leaves out.
    pub details: Vec<WindowDetails>,
}

/// Where a window's time and its rejects went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WindowDetails {
    /// Rejects by their first violation.
    pub rejects: Vec<RejectsOfRule>,
    /// The time of its stages; `null` where it was not read.
    pub stages: Option<StageMilliseconds>,
}

/// Rejects with the same first violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RejectsOfRule {
    /// The rule.
    pub rule: String,
    /// Where, as a JSON Pointer.
    pub path: String,
    /// How many.
    pub records: u64,
}

/// What each stage did with its time, and what it waited for. Stages run at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageMilliseconds {
    /// Pages from the tenant, with the waits that it asks for.
    #[serde(default)]
    pub fetching: u64,
    /// Fetching before a full queue: typing is slower.
    #[serde(default)]
    pub fetching_waits_for_typing: u64,
    /// Pages into columns.
    pub typing: u64,
    /// Typing before an empty queue: the tenant is slower.
    pub typing_waits_for_pages: u64,
    /// Typing before a full queue: writing is slower.
    pub typing_waits_for_writing: u64,
    /// Columns into Parquet.
    pub writing: u64,
    /// Writing before an empty queue: what comes before is slower.
    pub writing_waits_for_columns: u64,
}

impl StageMilliseconds {
    /// The times of a window.
    pub(super) fn of(times: &StageTimes) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let StageTimes { fetching, typing, writing } = times;
        Self {
            fetching: milliseconds(fetching.working),
            fetching_waits_for_typing: milliseconds(fetching.waiting_for_output),
            typing: milliseconds(typing.working),
            typing_waits_for_pages: milliseconds(typing.waiting_for_input),
            typing_waits_for_writing: milliseconds(typing.waiting_for_output),
            writing: milliseconds(writing.working),
            writing_waits_for_columns: milliseconds(writing.waiting_for_input),
        }
    }
}

impl WindowDetails {
    pub(super) fn of(rejects: &RejectTally, stages: Option<StageMilliseconds>) -> Self {
        let rejects = rejects.iter().map(|((rule, path), records)| RejectsOfRule {
            rule: rule.clone(),
            path: path.clone(),
            records: *records,
        });
        Self { rejects: rejects.collect(), stages }
    }
}

impl RunReport {
    /// A run that ended just now, as `record` knows it, with the summary that was shown.
    pub fn new(record: &RunRecord, summary: Summary, started_at: String, environment: &Environment) -> Self {
        Self {
            format: RUN_FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            ended_at: environment.now_text(),
            summary,
            details: record.details(),
        }
    }

    /// The same without what is of other tenants, where the run is of several: then with these warnings.
    fn of_tenant(&self, tenant: &str, of_several: Option<Vec<String>>) -> Self {
        let mut report = self.clone();
        let mut is_own = report.summary.windows.iter().map(|window| window.tenant == tenant).collect::<Vec<_>>();
        is_own.resize(report.details.len().max(is_own.len()), false);
        let mut windows = is_own.iter();
        report.summary.windows.retain(|_| windows.next().copied().unwrap_or_default());
        let mut details = is_own.iter();
        report.details.retain(|_| details.next().copied().unwrap_or_default());
        report.summary.drift.retain(|event| event.tenant == tenant);
        if let Some(warnings) = of_several {
            report.summary = Summary { warnings, ..of_own_windows(report.summary) };
        }
        report
    }

    /// The name of its files, which sorts by time.
    fn name(&self) -> String {
        let at: String = self.started_at.chars().filter(|character| !matches!(character, '-' | ':' | '.')).collect();
        format!("{at}-{}", self.summary.run_id)
    }
}

/// The summary of one tenant of several: how its own windows ended. An interruption is everybody's.
fn of_own_windows(mut summary: Summary) -> Summary {
    summary.restated = summary.windows.iter().filter(|window| window.restated).count() as u64;
    if summary.status == RunStatus::Interrupted {
        return summary;
    }
    let there = summary.windows.iter().filter(|window| window.status.is_in_lake()).count();
    let is_empty = summary.windows.iter().all(|window| window.status == WindowStatus::Empty);
    let kind = |error: &ErrorSummary| serde_json::from_value::<FailureKind>(error.kind.as_str().into()).ok();
    let errors = summary.windows.iter().flat_map(|window| {
        let of_loads = window.load.iter().flatten().filter_map(|(_, load)| load.error.as_ref());
        window.error.as_ref().into_iter().chain(of_loads)
    });
    let worst = errors.min_by_key(|error| kind(error).map_or(0, FailureKind::rank)).cloned();
    if worst.is_none() && there < summary.windows.len() {
        // What kept the others from being begun is the run's own failure.
        return summary;
    }
    if worst != summary.error {
        summary.retry_after_seconds = None;
    }
    (summary.status, summary.exit_code) = match &worst {
        None if is_empty => (RunStatus::Empty, 0),
        None => (RunStatus::Ok, 0),
        Some(error) => {
            let status = if there > 0 { RunStatus::Partial } else { RunStatus::Failed };
            (status, kind(error).map_or(summary.exit_code, FailureKind::exit_code))
        }
    };
    summary.error = worst;
    summary
}

/// Keeps a run's report in its lake, for each tenant whose windows it came to: as JSON, and as the page
/// that `page` makes of it. A run that was refused before its first window leaves the lake as it is, and
/// a report that cannot be kept fails no run.
pub async fn keep_run_report(record: &RunRecord, report: &RunReport, page: &(dyn Fn(&RunReport) -> String + Sync)) {
    let Some(lake) = record.lake() else { return };
    let kept = tokio::time::timeout(PATIENCE, keep(&lake, record, report, page)).await;
    match kept {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::warn!(error = %failure, "the run's report was not kept in the lake"),
        Err(_) => tracing::warn!(seconds = PATIENCE.as_secs(), "the run's report was not kept: the lake is too slow"),
    }
}

async fn keep(
    lake: &Lake,
    record: &RunRecord,
    report: &RunReport,
    page: &(dyn Fn(&RunReport) -> String + Sync),
) -> Result<(), Failure> {
    let tenants: BTreeSet<&str> = report.summary.windows.iter().map(|window| window.tenant.as_str()).collect();
    for tenant in tenants {
        let of_several = record.has_several_tenants().then(|| record.warnings_of(tenant));
        let report = report.of_tenant(tenant, of_several);
        let json =
            serde_json::to_vec(&report).map_err(|error| Failure::defect(format!("write the run's report: {error}")))?;
        let key = |ending: &str| format!("{}/{}.{ending}", runs_folder(tenant), report.name());
        lake.create(&key("json"), json.into()).await?;
        lake.create(&key("html"), page(&report).into()).await?;
    }
    Ok(())
}

fn runs_folder(tenant: &str) -> String {
    format!("{}/runs", tenant_folder(tenant))
}

/// Reports of runs.
#[derive(Debug, Default)]
pub(super) struct KeptRuns {
    /// Those that are meant, oldest first.
    pub(super) runs: Vec<RunReport>,
    /// Older ones, of which nothing is known.
    pub(super) not_looked_at: usize,
}

/// The reports of a tenant's newest runs that are meant, `most` at most. One that cannot be read is
/// left out, with a warning.
pub(super) async fn kept_runs(
    lake: &Lake,
    tenant: &str,
    is_meant: &(dyn Fn(&RunReport) -> bool + Sync),
    most: usize,
) -> Result<KeptRuns, Failure> {
    let listed = lake.list(&runs_folder(tenant)).await?;
    let mut keys: Vec<String> = listed.into_iter().map(|(key, _)| key).filter(|key| key.ends_with(".json")).collect();
    let mut runs = Vec::new();
    while runs.len() < most
        && let Some(key) = keys.pop()
    {
        let content = lake.get(&key).await?.unwrap_or_default();
        match serde_json::from_slice(&content) {
            Ok(report) if is_meant(&report) => runs.push(report),
            Ok(_) => {}
            Err(error) => tracing::warn!(run = lake.uri(&key), %error, "the report of a run cannot be read"),
        }
    }
    runs.reverse();
    Ok(KeptRuns { runs, not_looked_at: keys.len() })
}
