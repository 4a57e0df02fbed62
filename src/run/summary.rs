//! What a run says at its end (contract, "Summary"; `schemas/summary.schema.json`).

use chrono_tz::Tz;
use cxlake_sinks::lake::Done;
use schemars::JsonSchema;
use serde::Serialize;

use super::drift;
use crate::cxone::Client;
use crate::vocabulary::{DriftEvent, Failure, FailureKind, RejectTally, RowCounts};
use crate::window::Window;

/// The format of summaries.
pub const SUMMARY_FORMAT: &str = "cxlake.summary/1";

/// A run's summary: `null` is unknown, `0` is exactly zero.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "cxlake summary")]
pub struct Summary {
    /// `cxlake.summary/1`.
    pub format: &'static str,
    /// How the run ended.
    pub status: RunStatus,
    /// The process's exit code.
    pub exit_code: u8,
    /// The run's id.
    pub run_id: String,
    /// Each window of the run.
    pub windows: Vec<WindowSummary>,
    /// Windows that replaced other data.
    pub restated: u64,
    /// What changed at the tenants.
    pub drift: Vec<DriftEvent>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
    /// What was asked of the tenants.
    pub api: ApiSummary,
    /// When a retry is worth it.
    pub retry_after_seconds: Option<u64>,
    /// The failure that gives the exit code.
    pub error: Option<ErrorSummary>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Every window is in the lake.
    Ok,
    /// Every window is in the lake, and none has a record.
    Empty,
    /// Some windows are in the lake.
    Partial,
    /// No window is.
    Failed,
    /// It was stopped.
    Interrupted,
}

/// One window.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WindowSummary {
    /// The tenant's name.
    pub tenant: String,
    /// The report's name.
    pub report: String,
    /// The window.
    pub window: WindowBounds,
    /// What became of it.
    pub status: WindowStatus,
    /// Whether it replaced other data.
    pub restated: bool,
    /// What became of its records.
    pub rows: RowSummary,
    /// Files in the lake.
    pub files: Option<u64>,
    /// Their length.
    pub bytes: Option<u64>,
    /// The manifest's URI.
    pub manifest: Option<String>,
    /// The registry version of the rows.
    pub registry_version: Option<u32>,
    /// The warehouse load.
    pub load: Option<LoadSummary>,
    /// Why it failed.
    pub error: Option<ErrorSummary>,
}

/// A window's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WindowBounds {
    /// The first instant, RFC 3339 in UTC.
    pub start: String,
    /// The first instant after it.
    pub end: String,
    /// The tenant's zone.
    pub time_zone: String,
    /// The partition `dt`.
    pub date: String,
}

impl WindowBounds {
    /// The bounds of a window.
    pub fn of(window: &Window, zone: Tz) -> Self {
        let (start, end) = window.bounds();
        Self { start, end, time_zone: zone.name().to_owned(), date: window.date.to_string() }
    }
}

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowStatus {
    /// Written.
    Committed,
    /// There already, with the same bytes.
    Unchanged,
    /// There, without a record.
    Empty,
    /// Not written.
    Failed,
    /// Not tried.
    NotStarted,
}

/// Counts that add up, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RowSummary {
    /// What the tenant said there is.
    pub expected: Option<u64>,
    /// What it delivered.
    pub fetched: Option<u64>,
    /// Rows in `data/`.
    pub accepted: Option<u64>,
    /// Rows in `quarantine/`.
    pub quarantined: Option<u64>,
    /// Records whose exact text had been accepted.
    pub duplicates: Option<u64>,
}

impl RowSummary {
    fn of(rows: RowCounts) -> Self {
        Self {
            expected: Some(rows.expected),
            fetched: Some(rows.fetched),
            accepted: Some(rows.accepted),
            quarantined: Some(rows.quarantined),
            duplicates: Some(rows.duplicates),
        }
    }
}

/// A warehouse load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LoadSummary {}

/// What was asked of the tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ApiSummary {
    /// All requests.
    pub requests: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Tries after the first.
    pub retries: u64,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ErrorSummary {
    /// What the operator does next.
    pub kind: String,
    /// What failed.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ErrorSummary {
    fn of(failure: &Failure) -> Self {
        let kind = serde_json::to_value(failure.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned));
        Self { kind: kind.unwrap_or_default(), message: failure.to_string(), hint: failure.hint.clone() }
    }
}

/// A window that is in the lake.
#[derive(Clone, Debug)]
pub(super) struct WindowOutcome {
    pub(super) status: WindowStatus,
    pub(super) restated: bool,
    pub(super) rows: RowCounts,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) manifest: String,
    pub(super) registry_version: u32,
    pub(super) drift: Vec<DriftEvent>,
    /// Rejects of this extract; empty where it was not read.
    pub(super) rejects: RejectTally,
}

impl WindowOutcome {
    /// What a done says.
    pub(super) fn of(done: &Done, status: WindowStatus, manifest: String) -> Self {
        let rows = RowCounts {
            expected: done.rows.expected,
            fetched: done.rows.fetched,
            accepted: done.rows.accepted,
            quarantined: done.rows.quarantined,
            duplicates: done.rows.duplicates,
        };
        Self {
            status: if rows.expected == 0 { WindowStatus::Empty } else { status },
            restated: false,
            rows,
            files: 2,
            bytes: done.data.proof.bytes + done.quarantine.proof.bytes,
            manifest,
            registry_version: done.registry_version,
            drift: Vec::new(),
            rejects: RejectTally::new(),
        }
    }
}

/// Why a window is not in the lake, and what was known of its records.
#[derive(Debug)]
pub(super) struct WindowFailure {
    pub(super) failure: Failure,
    pub(super) rows: Option<RowCounts>,
    pub(super) drift: Vec<DriftEvent>,
}

impl<T: Into<Failure>> From<T> for WindowFailure {
    fn from(failure: T) -> Self {
        Self { failure: failure.into(), rows: None, drift: Vec::new() }
    }
}

/// A summary on its way.
#[derive(Debug)]
pub(super) struct SummaryBuilder {
    run_id: String,
    windows: Vec<WindowSummary>,
    drift: Vec<DriftEvent>,
    warnings: Vec<String>,
    clients: Vec<Client>,
    in_progress: Option<usize>,
    failures: Vec<Failure>,
    rejects: RejectTally,
}

impl SummaryBuilder {
    pub(super) fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            windows: Vec::new(),
            drift: Vec::new(),
            warnings: Vec::new(),
            clients: Vec::new(),
            in_progress: None,
            failures: Vec::new(),
            rejects: RejectTally::new(),
        }
    }

    pub(super) fn add_window(&mut self, tenant: &str, report: &str, window: &Window, zone: Tz) -> usize {
        self.windows.push(WindowSummary {
            tenant: tenant.to_owned(),
            report: report.to_owned(),
            window: WindowBounds::of(window, zone),
            status: WindowStatus::NotStarted,
            restated: false,
            rows: RowSummary::default(),
            files: None,
            bytes: None,
            manifest: None,
            registry_version: None,
            load: None,
            error: None,
        });
        self.windows.len() - 1
    }

    pub(super) fn window_done(&mut self, index: usize, outcome: WindowOutcome) {
        self.add_drift(outcome.drift);
        for (reason, count) in outcome.rejects {
            *self.rejects.entry(reason).or_default() += count;
        }
        self.in_progress = None;
        let window = &mut self.windows[index];
        window.status = outcome.status;
        window.restated = outcome.restated;
        window.rows = RowSummary::of(outcome.rows);
        window.files = Some(outcome.files);
        window.bytes = Some(outcome.bytes);
        window.manifest = Some(outcome.manifest);
        window.registry_version = Some(outcome.registry_version);
    }

    pub(super) fn window_failed(&mut self, index: usize, fault: WindowFailure) {
        self.add_drift(fault.drift);
        self.in_progress = None;
        let window = &mut self.windows[index];
        window.status = WindowStatus::Failed;
        window.error = Some(ErrorSummary::of(&fault.failure));
        if let Some(rows) = fault.rows {
            window.rows = RowSummary::of(rows);
        }
        self.failures.push(fault.failure);
    }

    pub(super) fn rejects(&self) -> RejectTally {
        self.rejects.clone()
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        if let Some(index) = self.in_progress.take() {
            self.windows[index].status = WindowStatus::Failed;
            self.windows[index].error = Some(ErrorSummary::of(&failure));
        }
        self.failures.push(failure);
    }

    /// Those events of keys that no window of the run had before.
    pub(super) fn not_seen_before(&self, events: &[DriftEvent]) -> Vec<DriftEvent> {
        let is_new = |event: &&DriftEvent| !self.drift.iter().any(|known| drift::is_same_key(known, event));
        events.iter().filter(is_new).cloned().collect()
    }

    pub(super) fn add_drift(&mut self, drift: Vec<DriftEvent>) {
        drift.into_iter().for_each(|event| drift::merge(&mut self.drift, event));
    }

    /// What an operator should know, each once.
    pub(super) fn add_warnings(&mut self, warnings: &[String]) {
        let new: Vec<String> = warnings.iter().filter(|warning| !self.warnings.contains(warning)).cloned().collect();
        self.warnings.extend(new);
    }

    /// A client whose calls count, also those that are still made.
    pub(super) fn add_client(&mut self, client: Client) {
        self.clients.push(client);
    }

    /// A window is being read.
    pub(super) fn window_begun(&mut self, index: usize) {
        self.in_progress = Some(index);
    }

    fn api(&self) -> ApiSummary {
        self.clients.iter().map(Client::counts).fold(ApiSummary::default(), |sum, counts| ApiSummary {
            requests: sum.requests + counts.requests,
            throttled: sum.throttled + counts.throttled,
            retries: sum.retries + counts.retries,
        })
    }

    pub(super) fn summary(&self) -> Summary {
        let worst = self.failures.iter().min_by_key(|failure| failure.kind.rank());
        let retry_after_seconds = worst.and_then(|worst| {
            let same = self.failures.iter().filter(|failure| failure.kind == worst.kind);
            same.filter_map(|failure| failure.retry_after_seconds).max()
        });
        Summary {
            format: SUMMARY_FORMAT,
            status: self.status(worst),
            exit_code: worst.map_or(0, |failure| failure.kind.exit_code()),
            run_id: self.run_id.clone(),
            windows: self.windows.clone(),
            restated: self.windows.iter().filter(|window| window.restated).count() as u64,
            drift: self.drift.clone(),
            warnings: [self.warnings.clone(), self.lonely_empty_windows()].concat(),
            api: self.api(),
            retry_after_seconds,
            error: worst.map(ErrorSummary::of),
        }
    }

    /// A window without a record beside one with some: a wrong region answers like that.
    fn lonely_empty_windows(&self) -> Vec<String> {
        let neighbours = |window: &WindowSummary, other: &WindowSummary| {
            other.report == window.report
                && other.tenant == window.tenant
                && (other.window.end == window.window.start || other.window.start == window.window.end)
                && other.rows.expected.is_some_and(|expected| expected > 0)
        };
        let empty = self.windows.iter().filter(|window| {
            window.status == WindowStatus::Empty && self.windows.iter().any(|other| neighbours(window, other))
        });
        empty
            .map(|window| {
                let WindowBounds { start, end, .. } = &window.window;
                format!(
                    "{} {}: the window {start} to {end} is empty, and one beside it is not",
                    window.tenant, window.report
                )
            })
            .collect()
    }

    fn status(&self, worst: Option<&Failure>) -> RunStatus {
        let in_lake = |window: &WindowSummary| {
            matches!(window.status, WindowStatus::Committed | WindowStatus::Unchanged | WindowStatus::Empty)
        };
        match worst.map(|failure| failure.kind) {
            Some(FailureKind::Interrupted | FailureKind::Terminated) => RunStatus::Interrupted,
            Some(_) if self.windows.iter().any(in_lake) => RunStatus::Partial,
            Some(_) => RunStatus::Failed,
            None if self.windows.iter().all(|window| window.status == WindowStatus::Empty) => RunStatus::Empty,
            None => RunStatus::Ok,
        }
    }
}

impl Summary {
    /// The same for `--empty skip`: a run that found nothing ends with 99.
    #[must_use]
    pub fn with_empty_skipped(mut self) -> Self {
        if self.status == RunStatus::Empty {
            self.exit_code = EXIT_EMPTY;
        }
        self
    }
}

/// The exit code of a run whose windows are all empty, with `--empty skip`.
const EXIT_EMPTY: u8 = 99;
