//! Whoever must know of drift is told: the log, the registry's audit trail, the operator's alerts.

use super::Environment;
use cxlake_sinks::lake::Lake;

use super::alerts::Alerts;
use super::metric_catalog::write_metric_catalog;
use super::preflight::TenantReady;
use super::registry_store::{RecordedEvent, RegistryStore};
use crate::settings::Settings;
use crate::vocabulary::{DriftEvent, DriftKind, Failure};

/// Writes events down and alerts. Neither ever fails a run: the data is right without them.
pub(super) async fn tell(
    settings: &Settings,
    store: &RegistryStore,
    events: Vec<DriftEvent>,
    frozen: bool,
    environment: &Environment,
) {
    let recorded = recorded(events, frozen, environment);
    write_down(store, &recorded).await;
    alert(settings, &recorded).await;
}

/// Writes the registry version of a run, and tells of its drift. The events come first: a run that is
/// killed in between tells them again the next time, rather than never.
pub(super) async fn accept(
    settings: &Settings,
    ready: TenantReady,
    lake: &Lake,
    environment: &Environment,
) -> Result<TenantReady, Failure> {
    let before = recorded(ready.drift.clone(), false, environment);
    write_down(&ready.store, &before).await;
    let ready = ready.with_registry_written(lake).await?;
    // Where another run made the version first, other drift may be left.
    let left = recorded(ready.drift.clone(), false, environment);
    let is_new = |event: &&RecordedEvent| !before.iter().any(|known| known.event == event.event);
    write_down(&ready.store, &left.iter().filter(is_new).cloned().collect::<Vec<_>>()).await;
    alert(settings, &left).await;
    // The data is right without it, and the next run writes it.
    if let Err(failure) = write_metric_catalog(lake, &ready.tenant, &ready.registry).await {
        tracing::warn!(error = %failure, "the metric catalog was not written");
    }
    Ok(ready)
}

fn recorded(events: Vec<DriftEvent>, frozen: bool, environment: &Environment) -> Vec<RecordedEvent> {
    let at = environment.now_text();
    events.into_iter().map(|event| RecordedEvent::new(event, at.clone(), &environment.run_id, frozen)).collect()
}

async fn write_down(store: &RegistryStore, events: &[RecordedEvent]) {
    if let Err(failure) = store.write_events(events).await {
        tracing::warn!(error = %failure, "drift events were not written to the registry");
    }
}

async fn alert(settings: &Settings, events: &[RecordedEvent]) {
    if let Some(alerts) = Alerts::of(settings) {
        alerts.send(events).await;
    }
}

/// What is said of a key that nobody asked for.
pub(super) fn unknown_key_detail(pointer: &str, records: u64, window: &str, first: u64) -> String {
    format!(
        "{records} records have {pointer}, which nobody asked for; the first is record {first} of the window {window}"
    )
}

/// The same key seen in several windows is one event: how often, and where first.
pub(super) fn merge(known: &mut Vec<DriftEvent>, seen: DriftEvent) {
    let Some(event) = known.iter_mut().find(|event| is_same_key(event, &seen)) else { return known.push(seen) };
    let records = event.records.unwrap_or_default() + seen.records.unwrap_or_default();
    let (window, first) = (event.first_window.clone().unwrap_or_default(), event.first_record.unwrap_or_default());
    event.detail = unknown_key_detail(&event.id, records, &window, first);
    event.records = Some(records);
}

/// Whether both events are of one key that nobody asked for.
pub(super) fn is_same_key(event: &DriftEvent, other: &DriftEvent) -> bool {
    event.kind == DriftKind::UnknownKey
        && other.kind == DriftKind::UnknownKey
        && (&event.tenant, &event.report, &event.id) == (&other.tenant, &other.report, &other.id)
}
