//! Floor 5: one run from start to finish. It prints nothing: what it has to say is in
//! [`summary::Summary`], the log, and its results.

mod alerts;
mod baseline;
mod baseline_source;
mod check;
mod committed;
mod continuation;
mod day_contents;
mod drift;
mod failure;
mod lake_report;
mod lineage;
mod load;
mod metric_catalog;
mod metrics;
mod pacing;
mod plan;
mod post;
mod preflight;
mod quarantine_review;
mod registry_review;
mod registry_store;
mod replay;
mod request;
mod run_report;
mod settings_check;
pub mod summary;
mod summary_builder;
mod vacuum;
mod verify;
mod views;
mod warehouses;
mod window_files;
mod window_run;
mod work_folder;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use cxlake_sinks::lake::{Lake, settled_windows};

pub use check::{Probe, check};
pub use committed::CommittedDays;
use continuation::{Next, StoppedReports, days_to_load};
pub use lake_report::{HourCounts, LakeReport, ReportedWindow, lake_report};
pub use lineage::LineageTargets;
pub use load::{LoadRequest, load};
pub use metrics::{Labels, Metric, last_success_of, load_metrics, metrics, prometheus_text};
pub use plan::{PlannedRun, PlannedWindow, Shard, plan};
pub use quarantine_review::{QuarantineRequest, Reject, RejectCount, count_rejects, read_rejects};
pub use registry_review::{
    ListedVersion, LogEntry, ReviewedDifference, ReviewedMetric, Synced, compare_versions, list_versions, log,
    show_version, sync,
};
pub use registry_store::RecordedEvent;
pub use replay::{ReplayRequest, replay};
pub use request::{RunRequest, Span};
pub use run_report::{RUN_FORMAT, RejectsOfRule, RunReport, StageMilliseconds, WindowDetails, keep_run_report};
pub use settings_check::check_settings;
pub use vacuum::{VacuumRequest, vacuum};
pub use verify::verify;
pub use views::{Engine, views};
pub use warehouses::OpenWarehouses;

use preflight::{Preflight, TenantReady, prepare};
use summary::{Summary, WindowFailure, WindowOutcome, WindowStatus};
use summary_builder::SummaryBuilder;
use window_run::{WindowRun, run_window};

use crate::cxone;
use crate::registry::Column;
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::{DriftEvent, Failure, FailureKind, Progress, RejectTally};
use crate::window::Window;

/// What a run works with beside its settings.
#[derive(Clone)]
pub struct Environment {
    /// Time and randomness.
    pub surroundings: cxone::Surroundings,
    /// Who is told how far it is.
    pub progress: Arc<dyn Progress>,
    /// The run's id.
    pub run_id: String,
    /// The warehouses that were opened.
    pub warehouses: OpenWarehouses,
}

impl Environment {
    /// Now, RFC 3339 in UTC.
    pub fn now_text(&self) -> String {
        self.surroundings.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }
}

/// The summary of a run that may be interrupted at any time: it always says what is known by then.
#[derive(Clone)]
pub struct RunRecord(Arc<Mutex<SummaryBuilder>>);

impl RunRecord {
    /// A run of which nothing is known yet.
    pub fn new(run_id: &str) -> Self {
        Self(Arc::new(Mutex::new(SummaryBuilder::new(run_id))))
    }

    /// The summary as things stand.
    pub fn summary(&self) -> Summary {
        self.update(|builder| builder.summary())
    }

    /// Notes a failure of the run as a whole.
    pub fn fail(&self, failure: Failure) {
        self.update(|builder| builder.fail(failure));
    }

    /// Rejected records of all windows, by the rule and path of their first violation.
    pub fn rejects(&self) -> RejectTally {
        self.update(|builder| builder.rejects())
    }

    /// The columns of a report's files, as far as this run came to know them.
    pub fn columns(&self, report: &str) -> Vec<Column> {
        self.update(|builder| builder.columns(report))
    }

    fn lake(&self) -> Option<Lake> {
        self.update(|builder| builder.lake())
    }

    fn has_several_tenants(&self) -> bool {
        self.update(|builder| builder.has_several_tenants())
    }

    fn warnings_of(&self, tenant: &str) -> Vec<String> {
        self.update(|builder| builder.warnings_of(tenant))
    }

    fn details(&self) -> Vec<WindowDetails> {
        self.update(|builder| builder.details())
    }

    fn update<T>(&self, change: impl FnOnce(&mut SummaryBuilder) -> T) -> T {
        // A summary of what is known is better than none, also after a panic elsewhere.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Runs everything that `request` asks for. Whatever happens stands in `record`.
pub async fn run(settings: &Settings, request: &RunRequest, environment: &Environment, record: &RunRecord) {
    if let Err(failure) = run_tenants(settings, request, environment, record).await {
        record.fail(failure);
    }
}

async fn run_tenants(
    settings: &Settings,
    request: &RunRequest,
    environment: &Environment,
    record: &RunRecord,
) -> Result<(), Failure> {
    request.check_span()?;
    let reports = request.reports(settings)?;
    settings.need_secrets_of(&reports)?;
    let preflight = Preflight::open(settings)?;
    record.update(|builder| builder.opened(&preflight.lake));
    load::refuse_unusable_warehouses(settings, &reports, environment).await?;
    for (tenant, reports) in request::by_tenant(&reports) {
        let client = preflight.client(settings, tenant, environment)?;
        record.update(|builder| builder.add_tenant(client.counter()));
        let outcome = run_tenant(&preflight, &client, settings, &reports, request, environment, record).await;
        if let Err(failure) = outcome {
            tracing::error!(tenant, error = %failure, "the tenant's reports were not run");
            record.fail(failure);
        }
    }
    Ok(())
}

async fn run_tenant(
    preflight: &Preflight,
    client: &cxone::Client,
    settings: &Settings,
    reports: &[&ReportSettings],
    request: &RunRequest,
    environment: &Environment,
    record: &RunRecord,
) -> Result<(), Failure> {
    let tenant = TenantRun { preflight, client, settings, request, environment, record };
    let ready = prepare(preflight, client, settings, reports, environment).await?;
    tenant.refuse_frozen_drift(&ready).await?;
    let windows = request.windows(reports, &ready)?;
    let to_read = tenant.to_read(reports, &windows).await?;
    pacing::fits_the_quota(client, &ready, &to_read, environment).await?;
    let is_large = request.of_large_run || pacing::is_large(&to_read);
    let quiet_hours = pacing::quiet_hours(settings, &ready.tenant, is_large)?;
    let is_read: BTreeSet<(&str, Window)> =
        to_read.iter().map(|(report, window)| (report.name.as_str(), *window)).collect();
    // A pattern or a baseline that cannot be read stops the run before anything is written.
    for report in reports {
        ready.decode_plan(report)?;
        if let Some(baseline) = &report.baseline
            && let Some(file) = &baseline.file
        {
            baseline_source::BaselineFile::read(file)?.check(baseline, ready.columns(report)?)?;
        }
    }
    let mut ready = tenant.accept(ready).await?;
    for report in reports {
        let columns = ready.columns(report)?.columns.clone();
        record.update(|builder| builder.know_columns(&report.name, columns));
    }
    let indices: Vec<usize> = windows
        .iter()
        .map(|(report, window)| {
            record.update(|builder| builder.add_window(&report.tenant, &report.name, window, ready.time_zone))
        })
        .collect();
    let mut stopped = StoppedReports::default();
    for (position, (report, window)) in windows.iter().enumerate() {
        if stopped.has(report) {
            continue;
        }
        let index = indices[position];
        let next = match request::settled(report, window, client.server_now()) {
            Ok(()) => {
                if is_read.contains(&(report.name.as_str(), *window)) {
                    pacing::wait_outside_quiet_hours(&quiet_hours, ready.time_zone, environment).await;
                }
                let failed = tenant.window_of_run(&mut ready, report, *window, index).await;
                failed.map_or(Next::Window, |kind| stopped.next_after(report, kind))
            }
            Err(failure) => {
                record.update(|builder| builder.window_failed(index, failure.into()));
                Next::Window
            }
        };
        for (report, date) in days_to_load(&windows, position, next) {
            let of_day = |(other, window): &(&ReportSettings, Window)| other.name == report.name && window.date == date;
            let day = windows.iter().zip(&indices).filter(|(window, _)| of_day(window)).map(|(_, index)| *index);
            tenant.load_day(report, date, day.collect()).await;
        }
        if next == Next::Nothing {
            break;
        }
    }
    Ok(())
}

/// What the windows of a tenant are run with.
struct TenantRun<'a> {
    preflight: &'a Preflight,
    client: &'a cxone::Client,
    settings: &'a Settings,
    request: &'a RunRequest,
    environment: &'a Environment,
    record: &'a RunRecord,
}

impl TenantRun<'_> {
    /// The windows that the tenant will be asked for: not those that are left alone.
    async fn to_read<'w>(
        &self,
        reports: &[&ReportSettings],
        windows: &[(&'w ReportSettings, Window)],
    ) -> Result<Vec<(&'w ReportSettings, Window)>, Failure> {
        let mut to_read = windows.to_vec();
        if self.request.skip_committed {
            for report in reports {
                let of_report = windows.iter().filter(|(of, _)| of.name == report.name);
                let days = of_report.map(|(_, window)| window.date).collect();
                let settled = settled_windows(&self.preflight.lake, &report.tenant, &report.name, &days).await?;
                to_read
                    .retain(|(of, window)| of.name != report.name || !settled.contains(&(window.date, window.name())));
            }
        }
        Ok(to_read)
    }

    /// Runs a window, and says in the record what became of it; why it failed.
    async fn window_of_run(
        &self,
        ready: &mut TenantReady,
        report: &ReportSettings,
        window: Window,
        index: usize,
    ) -> Option<FailureKind> {
        let record = self.record;
        record.update(|builder| builder.window_begun(index));
        let outcome = self.window(ready, report, window).await;
        let seen = outcome.as_ref().map_or_else(|fault| &fault.drift, |outcome| &outcome.drift);
        let news = record.update(|builder| builder.not_seen_before(seen));
        let failed = match outcome {
            Ok(outcome) => {
                record.update(|builder| builder.window_done(index, outcome));
                None
            }
            Err(fault) => {
                tracing::error!(report = report.name, window = window.name(), error = %fault.failure, "the window failed");
                let kind = fault.failure.kind;
                record.update(|builder| builder.window_failed(index, fault));
                Some(kind)
            }
        };
        // At once, for a run may be ended at any time; how many records there were is in the summary.
        drift::tell(self.settings, &ready.store, news, false, self.environment).await;
        failed
    }

    /// Loads a day, where any window of it that this run has run is in the lake and not loaded yet.
    async fn load_day(&self, report: &ReportSettings, date: NaiveDate, mut windows: Vec<usize>) {
        windows.retain(|index| self.record.update(|builder| builder.waits_for_load(*index)));
        if windows.is_empty() {
            return;
        }
        let Self { settings, environment, record, preflight, .. } = *self;
        load::DayLoads { settings, lake: &preflight.lake, environment, record }.day(report, date, &windows).await;
    }

    /// Runs a window. Where the tenant refuses it, its catalog may have changed since the run began:
    /// then the run looks again, once, and goes on under the new version.
    async fn window(
        &self,
        ready: &mut TenantReady,
        report: &ReportSettings,
        window: Window,
    ) -> Result<WindowOutcome, WindowFailure> {
        let refused = match self.try_window(ready, report, window).await {
            Err(fault) if fault.failure.kind == FailureKind::Configuration => fault,
            outcome => return outcome,
        };
        // Why the window was refused counts, not why nobody could look again.
        let Ok(again) = ready.looked_again(self.client, self.environment.now_text()).await else { return Err(refused) };
        // Another run may have written the version meanwhile.
        if again.registry.version == ready.registry.version {
            return Err(refused);
        }
        tracing::warn!(error = %refused.failure, "the catalog changed during the run: trying the window again");
        self.refuse_frozen_drift(&again).await?;
        *ready = self.accept(again).await?;
        self.try_window(ready, report, window).await
    }

    async fn try_window(
        &self,
        ready: &TenantReady,
        report: &ReportSettings,
        window: Window,
    ) -> Result<WindowOutcome, WindowFailure> {
        let Self { preflight, client, request, environment, .. } = self;
        run_window(&WindowRun { preflight, client, ready, report, window, request, environment }).await
    }

    /// Writes the registry version, and tells of what it holds.
    async fn accept(&self, ready: TenantReady) -> Result<TenantReady, Failure> {
        self.record.update(|builder| builder.add_warnings(&ready.tenant, &ready.warnings));
        drift::accept(self.settings, ready, &self.preflight.lake, self.environment).await
    }

    /// Notes the drift. Where the policy of a report forbids it, it is told, and nothing else is
    /// written. The registry is the tenant's: a report that this run leaves out is asked too, for
    /// else it would find the drift accepted.
    async fn refuse_frozen_drift(&self, ready: &TenantReady) -> Result<(), Failure> {
        let reports = || self.settings.reports.values().filter(|report| report.tenant == ready.tenant);
        let forbidden = ready.drift.iter().find_map(|event| {
            reports().find(|report| failure::forbids(report, event.kind)).map(|report| (event, report))
        });
        let Some((event, report)) = forbidden else {
            self.record.update(|builder| builder.add_drift(ready.drift.clone()));
            return Ok(());
        };
        let unversioned = |event: &DriftEvent| DriftEvent { registry_version: None, ..event.clone() };
        let events: Vec<DriftEvent> = ready.drift.iter().map(unversioned).collect();
        self.record.update(|builder| builder.add_drift(events.clone()));
        drift::tell(self.settings, &ready.store, events, true, self.environment).await;
        Err(Failure::new(FailureKind::Drift, format!("accept the catalog: {}", event.detail)).hint(format!(
            "the policy of reports.{} is \"freeze\": review the change, then accept it with `cxlake registry sync`",
            report.name
        )))
    }
}

impl WindowStatus {
    /// For the log and the progress.
    pub fn name(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Unchanged => "unchanged",
            Self::Empty => "empty",
            Self::Failed => "failed",
            Self::NotStarted => "not started",
        }
    }
}
