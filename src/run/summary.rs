//! What a run says at its end (contract, "Summary"; `schemas/summary.schema.json`).

use std::collections::BTreeMap;

use chrono_tz::Tz;
use cxlake_sinks::lake::Done;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run_report::StageMilliseconds;
use crate::vocabulary::{DriftEvent, Failure, RejectTally, RowCounts};
use crate::window::Window;

/// The format of summaries.
pub const SUMMARY_FORMAT: &str = "cxlake.summary/1";

/// A run's summary: `null` is unknown, `0` is exactly zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "cxlake summary")]
pub struct Summary {
    /// `cxlake.summary/1`.
    pub format: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The load of its day, by warehouse; `null` where nothing was to be loaded, or it was not tried.
    pub load: Option<BTreeMap<String, WarehouseLoad>>,
    /// Why it failed.
    pub error: Option<ErrorSummary>,
}

/// A window's bounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl WindowStatus {
    /// Whether its rows are in the lake, as they are now.
    pub fn is_in_lake(self) -> bool {
        matches!(self, Self::Committed | Self::Unchanged | Self::Empty)
    }
}

impl RunStatus {
    /// Whether every window is in the lake.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Ok | Self::Empty)
    }
}

/// Counts that add up, where they are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    pub(super) fn of(rows: RowCounts) -> Self {
        Self {
            expected: Some(rows.expected),
            fetched: Some(rows.fetched),
            accepted: Some(rows.accepted),
            quarantined: Some(rows.quarantined),
            duplicates: Some(rows.duplicates),
        }
    }
}

/// The load of a window's day into a warehouse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WarehouseLoad {
    /// What became of it.
    pub status: LoadStatus,
    /// The table of accepted rows.
    pub data: Option<TableSummary>,
    /// The table of rejects, where they are loaded.
    pub quarantine: Option<TableSummary>,
    /// Why it failed.
    pub error: Option<ErrorSummary>,
}

/// What became of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadStatus {
    /// The warehouse holds the day now.
    Loaded,
    /// It held it before.
    Unchanged,
    /// It does not hold it: `cxlake load` tries again.
    Failed,
}

impl LoadStatus {
    /// For the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// A day of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TableSummary {
    /// The table.
    pub table: String,
    /// Rows of the day in it.
    pub rows: u64,
    /// The job or statement that loaded them, where it was this run's.
    pub job: Option<String>,
}

/// What was asked of the tenants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiSummary {
    /// All requests.
    pub requests: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Tries after the first.
    pub retries: u64,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorSummary {
    /// What the operator does next.
    pub kind: String,
    /// What failed.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl ErrorSummary {
    pub(super) fn of(failure: &Failure) -> Self {
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
    /// The time of its stages; `None` where it was not read.
    pub(super) stages: Option<StageMilliseconds>,
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
            stages: None,
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
