//! What a run would do.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cxlake_sinks::lake::{Lake, ObjectKind, READS_AT_ONCE, WindowAddress, WindowCommit};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::preflight::{Preflight, TenantReady, prepare};
use super::summary::WindowBounds;
use super::{Environment, RunRequest, pacing, request};
use crate::cxone::{Client, Place, Quota};
use crate::settings::limits::COUNTED_WINDOWS;
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::{DriftEvent, Failure};
use crate::window::Window;

/// One element of `plan --json`: what one worker runs with `--shard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The tenant's name.
    pub tenant: String,
    /// The report's name.
    pub report: String,
    /// The window.
    pub window: ShardWindow,
    /// Whether the plan is so large that its shards wait outside of quiet hours; left out where it is not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub large_run: bool,
}

/// The window of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardWindow {
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// The tenant's zone; not needed to run the shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// The partition `dt`; not needed to run the shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
}

/// A run as it would be.
#[derive(Clone, Debug, Default)]
pub struct PlannedRun {
    /// Its windows.
    pub windows: Vec<PlannedWindow>,
    /// What changed at the tenants.
    pub drift: Vec<DriftEvent>,
    /// What would be written to the registries.
    pub registry_changes: Vec<String>,
    /// Calls that the windows need.
    pub calls: u64,
    /// The tenants' quotas, where they have one.
    pub quotas: Vec<(String, Quota)>,
    /// How long the calls take at the configured pace.
    pub expected_seconds: f64,
    /// When a run that begins now would end at that pace.
    pub expected_end: DateTime<Utc>,
    /// Whether totals of some windows are only likely.
    pub estimated: bool,
}

/// A window as it would be.
#[derive(Clone, Debug)]
pub struct PlannedWindow {
    /// For a worker.
    pub shard: Shard,
    /// Records, where the tenant was asked.
    pub records: Option<u64>,
    /// Pages for them.
    pub pages: u64,
    /// Where its rows go.
    pub data: String,
    /// Whether it is committed already.
    pub is_committed: bool,
    /// When it will have settled, where it has not.
    pub settles_at: Option<DateTime<Utc>>,
}

/// Plans a run. Nothing is written. With `count` the tenant is asked how many records the windows
/// have, a call a window for up to 31 windows.
///
/// # Errors
/// As a run before its first window.
pub async fn plan(
    settings: &Settings,
    request: &RunRequest,
    environment: &Environment,
    count: bool,
) -> Result<PlannedRun, Failure> {
    request.check_span()?;
    let reports = request.reports(settings)?;
    settings.need_secrets_of(&reports)?;
    let preflight = Preflight::open_to_read(settings)?;
    let mut planned = PlannedRun::default();
    let mut wait = Duration::ZERO;
    for (tenant, reports) in request::by_tenant(&reports) {
        let client = preflight.client(settings, tenant, environment)?;
        let ready = prepare(&preflight, &client, settings, &reports, environment).await?;
        let windows = request.windows(&reports, &ready)?;
        if ready.registry_is_new {
            let registry = &ready.registry;
            planned.registry_changes.push(format!("{tenant}: version {} ({})", registry.version, registry.reason));
        }
        planned.drift.extend(ready.drift.iter().cloned());
        let (calls_before, windows_before) = (planned.calls, planned.windows.len());
        let now = client.server_now();
        let looks = windows.iter().map(|(report, window)| is_committed(&preflight.lake, address(report, window)));
        let mut looks = stream::iter(looks).buffered(READS_AT_ONCE);
        for (index, (report, window)) in windows.iter().enumerate() {
            let records = match count && index < COUNTED_WINDOWS {
                true => Some(total(&client, &ready, report, *window).await?),
                false => None,
            };
            let is_committed = looks.try_next().await?.unwrap_or_default();
            planned.calls += pages(report, records);
            planned.windows.push(PlannedWindow {
                shard: shard(&ready, report, window),
                records,
                pages: pages(report, records),
                data: preflight.lake.uri(&address(report, window).object(ObjectKind::Data)),
                is_committed,
                settles_at: Some(request::settles_at(report, window)).filter(|at| *at > now),
            });
        }
        let large_run = request.of_large_run || pacing::is_large(&windows);
        planned.windows[windows_before..].iter_mut().for_each(|window| window.shard.large_run = large_run);
        let quiet_hours = pacing::quiet_hours(settings, tenant, large_run)?;
        wait = wait.max(pacing::remaining(&quiet_hours, ready.time_zone, now).unwrap_or_default());
        planned.estimate(windows.len());
        let calls = planned.calls - calls_before;
        planned.expected_seconds += seconds(calls) / client.requests_per_second();
        if count && let Some(quota) = client.quota().await {
            planned.quotas.push((tenant.to_owned(), quota));
        }
    }
    let length = Duration::try_from_secs_f64(planned.expected_seconds).unwrap_or(Duration::MAX).saturating_add(wait);
    let length = TimeDelta::from_std(length).unwrap_or(TimeDelta::MAX);
    let end = environment.surroundings.clock.now().checked_add_signed(length).unwrap_or(DateTime::<Utc>::MAX_UTC);
    let last_settles_at = planned.windows.iter().filter_map(|window| window.settles_at).max();
    planned.expected_end = last_settles_at.map_or(end, |settled| settled.max(end));
    Ok(planned)
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
fn seconds(calls: u64) -> f64 {
    calls as f64
}

fn address(report: &ReportSettings, window: &Window) -> WindowAddress {
    WindowAddress {
        tenant: report.tenant.clone(),
        report: report.name.clone(),
        date: window.date,
        window: window.name(),
    }
}

/// Whether a window is committed; a failure where it may not be.
async fn is_committed(lake: &Lake, address: WindowAddress) -> Result<bool, Failure> {
    let commit = WindowCommit { lake, address: &address };
    let history = commit.look().await?;
    commit.refuse_published_in_the_same_time(&history).await?;
    Ok(history.settled().is_some())
}

fn pages(report: &ReportSettings, records: Option<u64>) -> u64 {
    records.map_or(0, |records| records.div_ceil(report.page_records).max(1))
}

fn shard(ready: &TenantReady, report: &ReportSettings, window: &Window) -> Shard {
    let bounds = WindowBounds::of(window, ready.time_zone);
    Shard {
        tenant: report.tenant.clone(),
        report: report.name.clone(),
        window: ShardWindow {
            start: window.start,
            end: window.end,
            time_zone: Some(bounds.time_zone),
            date: Some(bounds.date),
        },
        large_run: false,
    }
}

impl PlannedRun {
    /// Takes the windows that were counted as typical for those that were not.
    fn estimate(&mut self, windows: usize) {
        let recent = self.windows.len() - windows;
        let (counted, uncounted): (Vec<&PlannedWindow>, Vec<&PlannedWindow>) =
            self.windows[recent..].iter().partition(|window| window.records.is_some());
        if counted.is_empty() || uncounted.is_empty() {
            return;
        }
        let mean = counted.iter().map(|window| window.pages).sum::<u64>().div_ceil(counted.len() as u64);
        self.calls += mean * uncounted.len() as u64;
        self.estimated = true;
    }
}

/// How many records a window has, by asking for one.
pub(super) async fn total(
    client: &Client,
    ready: &TenantReady,
    report: &ReportSettings,
    window: Window,
) -> Result<u64, Failure> {
    let (_, reader) = ready.reader(client, report, &window)?;
    Ok(reader.page(&Place::Offset(0), 1).await?.total)
}
