//! What a lake and its runs look like over some days, for a page that people read.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::TimestampMicrosecondType;
use chrono::{DateTime, Timelike as _, Utc};
use cxlake_sinks::lake::{Done, Lake, ObjectKind, WindowCommit};
use cxlake_sinks::parquet::read_parquet;

use super::committed::{self, CommittedDays, CommittedWindow};
use super::preflight::Preflight;
use super::run_report::kept_runs;
use super::work_folder::WorkFolder;
use super::{
    QuarantineRequest, RecordedEvent, Reject, RejectCount, RunReport, RunRequest, count_rejects, read_rejects, request,
};
use crate::settings::Settings;
use crate::vocabulary::{Failure, snake_case};

/// The most runs of a tenant on a page.
const MOST_RUNS: usize = 200;
/// Rejects that are shown as they were sent: the first of so many rules and places.
const MOST_EXAMPLES: usize = 20;
/// Data that is read to count its hours; windows beyond it are left out there, but never the newest.
const MOST_HOUR_BYTES: u64 = 256 << 20;

/// Some days of some reports.
#[derive(Clone, Debug, Default)]
pub struct LakeReport {
    /// Runs, oldest first: of each tenant, for a run of several has a report for each.
    pub runs: Vec<RunReport>,
    /// Older runs that were not looked at, for there were enough.
    pub runs_not_looked_at: usize,
    /// Committed windows, in the order of time.
    pub windows: Vec<ReportedWindow>,
    /// Accepted rows by the hour of the tenant's day in which they began; `None` where no report has
    /// a time column.
    pub hours: Option<HourCounts>,
    /// Rejects by day, rule and place.
    pub rejects: Vec<RejectCount>,
    /// A reject for each rule and place.
    pub examples: Vec<Reject>,
    /// Drift, oldest first.
    pub drift: Vec<RecordedEvent>,
}

/// A committed window.
#[derive(Clone, Debug)]
pub struct ReportedWindow {
    /// What its manifest says.
    pub done: Done,
    /// Whether a later plan is open: a run is on its way, or was interrupted.
    pub is_open: bool,
}

/// Rows by hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HourCounts {
    /// Rows of each hour of the day.
    pub rows: [u64; 24],
    /// Windows whose rows are counted.
    pub windows: usize,
    /// Windows that are left out, for there was too much to read.
    pub left_out: usize,
}

/// Gathers what the page shows. The tenants are not called.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn lake_report(
    settings: &Settings,
    selection: &RunRequest,
    days: CommittedDays,
) -> Result<LakeReport, Failure> {
    let preflight = Preflight::open_existing(settings).await?;
    let lake = &preflight.lake;
    let found = committed::find(settings, selection, days, lake).await?;
    let mut report = LakeReport { hours: hours(lake, &found).await?, ..LakeReport::default() };
    let meant = |at: &str| at.parse::<DateTime<Utc>>().is_ok_and(|at| days.contains(at.date_naive()));
    for tenant in request::by_tenant(&selection.reports(settings)?).into_keys() {
        let is_meant = |run: &RunReport| meant(&run.started_at) || is_of_days(run, days);
        let kept = kept_runs(lake, tenant, &is_meant, MOST_RUNS).await?;
        report.runs.extend(kept.runs);
        report.runs_not_looked_at += kept.not_looked_at;
        report.drift.extend(preflight.registry(settings, tenant)?.events().await?);
    }
    report.runs.sort_by(|left, right| left.started_at.cmp(&right.started_at));
    report.drift.retain(|event| meant(&event.at));
    report.drift.sort_by(|left, right| left.at.cmp(&right.at));
    report.windows = found.into_iter().map(reported).collect();
    let rejects = QuarantineRequest { selection: selection.clone(), days, rule: None, metric: None };
    report.rejects = count_rejects(settings, &rejects).await?;
    report.examples = examples(settings, &rejects).await?;
    Ok(report)
}

fn is_of_days(run: &RunReport, days: CommittedDays) -> bool {
    run.summary.windows.iter().any(|window| window.window.date.parse().is_ok_and(|date| days.contains(date)))
}

fn reported(found: CommittedWindow<'_>) -> ReportedWindow {
    ReportedWindow { is_open: found.history.settled().is_none(), done: found.done }
}

/// The first reject of each rule and place.
async fn examples(settings: &Settings, request: &QuarantineRequest) -> Result<Vec<Reject>, Failure> {
    let mut first: BTreeMap<(String, String), Reject> = BTreeMap::new();
    let mut take = |reject: Reject| {
        let key = (reject.rule.clone(), reject.path.clone());
        if first.len() < MOST_EXAMPLES || first.contains_key(&key) {
            first.entry(key).or_insert(reject);
        }
        if first.len() < MOST_EXAMPLES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    read_rejects(settings, request, &mut take).await?;
    Ok(first.into_values().collect())
}

/// The hours of the newest windows, as many as may be read.
async fn hours(lake: &Lake, found: &[CommittedWindow<'_>]) -> Result<Option<HourCounts>, Failure> {
    let with_time: Vec<_> =
        found.iter().filter_map(|found| found.report.time_column.as_ref().map(|column| (found, column))).collect();
    if with_time.is_empty() {
        return Ok(None);
    }
    let folder = WorkFolder::create()?;
    let (mut counts, mut bytes) = (HourCounts::default(), 0);
    for (found, column) in with_time.into_iter().rev() {
        let with_this = bytes + found.done.data.proof.bytes;
        if with_this > MOST_HOUR_BYTES && counts.windows > 0 {
            counts.left_out += 1;
            continue;
        }
        bytes = with_this;
        let commit = WindowCommit { lake, address: &found.address };
        let object = commit.fetch(ObjectKind::Data, folder.path()).await?;
        let column = snake_case(column);
        for batch in read_parquet(object.file.file.path(), Some(&[&column]))? {
            let batch = batch?;
            let times = batch.column_by_name(&column);
            let Some(times) = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>()) else {
                continue;
            };
            for time in (0..times.len()).filter(|row| times.is_valid(*row)).map(|row| times.value(row)) {
                let hour =
                    DateTime::from_timestamp_micros(time).map(|time| time.with_timezone(&found.time_zone).hour());
                if let Some(count) = hour.and_then(|hour| counts.rows.get_mut(hour as usize)) {
                    *count += 1;
                }
            }
        }
        counts.windows += 1;
    }
    Ok(Some(counts))
}
