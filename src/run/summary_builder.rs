//! A run's summary while the run goes on.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use chrono_tz::Tz;
use cxlake_sinks::lake::Lake;

use super::drift;
use super::run_report::WindowDetails;
use super::summary::{
    ApiSummary, ErrorSummary, LoadStatus, RowSummary, RunStatus, SUMMARY_FORMAT, Summary, WarehouseLoad, WindowBounds,
    WindowFailure, WindowOutcome, WindowStatus, WindowSummary,
};
use crate::cxone::ApiCounter;
use crate::registry::Column;
use crate::settings::limits::COUNTED_UNKNOWN_KEYS;
use crate::vocabulary::{DriftEvent, DriftKind, Failure, FailureKind, RejectTally};
use crate::window::Window;

/// A summary on its way.
#[derive(Debug)]
pub(super) struct SummaryBuilder {
    run_id: String,
    /// The columns of each report.
    columns: BTreeMap<String, Vec<Column>>,
    /// The lake, once it is open.
    lake: Option<Lake>,
    windows: Vec<WindowSummary>,
    /// Of each window, what its summary leaves out.
    details: Vec<WindowDetails>,
    drift: Vec<DriftEvent>,
    /// By tenant.
    warnings: Vec<(String, String)>,
    /// By tenant, what is asked of its API.
    counters: Vec<Arc<ApiCounter>>,
    in_progress: Option<usize>,
    failures: Vec<Failure>,
}

impl SummaryBuilder {
    pub(super) fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            columns: BTreeMap::new(),
            lake: None,
            windows: Vec::new(),
            details: Vec::new(),
            drift: Vec::new(),
            warnings: Vec::new(),
            counters: Vec::new(),
            in_progress: None,
            failures: Vec::new(),
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
        self.details.push(WindowDetails::default());
        self.windows.len() - 1
    }

    pub(super) fn window_done(&mut self, index: usize, outcome: WindowOutcome) {
        self.add_drift(outcome.drift);
        self.details[index] = WindowDetails::of(&outcome.rejects, outcome.stages);
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

    /// The windows of a day are in a warehouse, or are not.
    pub(super) fn day_loaded(&mut self, windows: &[usize], warehouse: &str, outcome: Result<WarehouseLoad, Failure>) {
        let load = outcome.unwrap_or_else(|failure| {
            let error = Some(ErrorSummary::of(&failure));
            self.failures.push(failure);
            WarehouseLoad { status: LoadStatus::Failed, data: None, quarantine: None, error }
        });
        for index in windows {
            self.windows[*index].load.get_or_insert_default().insert(warehouse.to_owned(), load.clone());
        }
    }

    /// Whether a window is in the lake, and no load of it was tried.
    pub(super) fn waits_for_load(&self, index: usize) -> bool {
        self.windows[index].status.is_in_lake() && self.windows[index].load.is_none()
    }

    /// Rejects of all windows.
    pub(super) fn rejects(&self) -> RejectTally {
        let mut all = RejectTally::new();
        for rejects in self.details.iter().flat_map(|details| &details.rejects) {
            *all.entry((rejects.rule.clone(), rejects.path.clone())).or_default() += rejects.records;
        }
        all
    }

    pub(super) fn know_columns(&mut self, report: &str, columns: Vec<Column>) {
        self.columns.insert(report.to_owned(), columns);
    }

    pub(super) fn columns(&self, report: &str) -> Vec<Column> {
        self.columns.get(report).cloned().unwrap_or_default()
    }

    pub(super) fn opened(&mut self, lake: &Lake) {
        self.lake = Some(lake.clone());
    }

    pub(super) fn lake(&self) -> Option<Lake> {
        self.lake.clone()
    }

    pub(super) fn details(&self) -> Vec<WindowDetails> {
        self.details.clone()
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
        events.iter().filter(is_new).take(self.room_for_unknown_keys()).cloned().collect()
    }

    /// How many more keys that nobody asked for are told in this run: where each record has its own there is no end.
    fn room_for_unknown_keys(&self) -> usize {
        let known = self.drift.iter().filter(|event| event.kind == DriftKind::UnknownKey).count();
        COUNTED_UNKNOWN_KEYS.saturating_sub(known)
    }

    pub(super) fn add_drift(&mut self, drift: Vec<DriftEvent>) {
        let mut room = self.room_for_unknown_keys();
        for event in drift {
            let is_unknown_key = event.kind == DriftKind::UnknownKey;
            if is_unknown_key && room == 0 && !self.drift.iter().any(|known| drift::is_same_key(known, &event)) {
                continue;
            }
            let before = self.drift.len();
            drift::merge(&mut self.drift, event);
            room -= if is_unknown_key { self.drift.len() - before } else { 0 };
        }
    }

    /// What an operator should know of a tenant, each once.
    pub(super) fn add_warnings(&mut self, tenant: &str, warnings: &[String]) {
        for warning in warnings {
            let warning = (tenant.to_owned(), warning.clone());
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// The warnings of one tenant.
    pub(super) fn warnings_of(&self, tenant: &str) -> Vec<String> {
        self.all_warnings().into_iter().filter(|(of, _)| of == tenant).map(|(_, warning)| warning).collect()
    }

    fn all_warnings(&self) -> Vec<(String, String)> {
        [self.warnings.clone(), self.lonely_empty_windows()].concat()
    }

    /// A tenant whose calls count, also those that are still made.
    pub(super) fn add_tenant(&mut self, counter: Arc<ApiCounter>) {
        self.counters.push(counter);
    }

    /// Whether the run is of more than one tenant.
    pub(super) fn has_several_tenants(&self) -> bool {
        self.counters.len() > 1
    }

    /// A window is being read.
    pub(super) fn window_begun(&mut self, index: usize) {
        self.in_progress = Some(index);
    }

    fn api(&self) -> ApiSummary {
        self.counters.iter().map(|counter| counter.counts()).fold(ApiSummary::default(), |sum, counts| ApiSummary {
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
            format: SUMMARY_FORMAT.to_owned(),
            status: self.status(worst),
            exit_code: worst.map_or(0, |failure| failure.kind.exit_code()),
            run_id: self.run_id.clone(),
            windows: self.windows.clone(),
            restated: self.windows.iter().filter(|window| window.restated).count() as u64,
            drift: self.drift.clone(),
            warnings: self.all_warnings().into_iter().map(|(_, warning)| warning).collect(),
            api: self.api(),
            retry_after_seconds,
            error: worst.map(ErrorSummary::of),
        }
    }

    /// A window without a record beside one with some: a wrong region answers like that.
    fn lonely_empty_windows(&self) -> Vec<(String, String)> {
        let of_report =
            |window: &WindowSummary, at: &str| (window.tenant.clone(), window.report.clone(), at.to_owned());
        let filled = || self.windows.iter().filter(|window| window.rows.expected.is_some_and(|expected| expected > 0));
        let starts: HashSet<_> = filled().map(|window| of_report(window, &window.window.start)).collect();
        let ends: HashSet<_> = filled().map(|window| of_report(window, &window.window.end)).collect();
        let empty = self.windows.iter().filter(|window| {
            window.status == WindowStatus::Empty
                && (ends.contains(&of_report(window, &window.window.start))
                    || starts.contains(&of_report(window, &window.window.end)))
        });
        empty
            .map(|window| {
                let WindowBounds { start, end, .. } = &window.window;
                let text = format!(
                    "{} {}: the window {start} to {end} is empty, and one beside it is not",
                    window.tenant, window.report
                );
                (window.tenant.clone(), text)
            })
            .collect()
    }

    fn status(&self, worst: Option<&Failure>) -> RunStatus {
        match worst.map(|failure| failure.kind) {
            Some(FailureKind::Interrupted | FailureKind::Terminated) => RunStatus::Interrupted,
            Some(_) if self.windows.iter().any(|window| window.status.is_in_lake()) => RunStatus::Partial,
            Some(_) => RunStatus::Failed,
            None if self.windows.iter().all(|window| window.status == WindowStatus::Empty) => RunStatus::Empty,
            None => RunStatus::Ok,
        }
    }
}
