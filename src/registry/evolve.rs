//! From one registry version to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::metric_changes::{MetricChanges, MetricOverride};
use super::report_columns::{FieldIds, ReportRequest, Selection, report_columns};
use super::resolve::{Resolution, resolve};
use super::version::{Column, ColumnOrigin, Metric, REGISTRY_FORMAT, RegistryVersion, ReportColumns};
use super::{CatalogMetric, MetricStatus, catalog_sha256};
use crate::vocabulary::{DriftEvent, Failure, nearest_name};

/// The registry as it should be now.
#[derive(Clone, Debug)]
pub struct Evolution {
    /// The version for this run: the earlier one itself where nothing changed.
    pub version: RegistryVersion,
    /// Whether it must be written.
    pub is_new: bool,
    /// What changed at the tenant. Empty for a first version.
    pub drift: Vec<DriftEvent>,
    /// What an operator should know.
    pub warnings: Vec<String>,
}

/// Compares the newest version with the tenant's catalog and with what the reports ask for.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Configuration`] for metrics that cannot be asked for.
pub fn evolve(
    tenant: &str,
    earlier: Option<&RegistryVersion>,
    catalog: &[CatalogMetric],
    overrides: &BTreeMap<String, MetricOverride>,
    reports: &[ReportRequest],
    created_at: String,
) -> Result<Evolution, Failure> {
    let number = earlier.map_or(1, |earlier| earlier.version + 1);
    let mut ids = FieldIds(earlier.map_or(1, |earlier| earlier.next_field_id));
    let mut changes = MetricChanges::new(tenant, number, earlier.is_none());
    let mut warnings = Vec::new();
    let mut resolutions = Vec::new();
    for report in reports {
        let mut resolution = resolve(report, catalog, earlier)?;
        warnings.append(&mut resolution.warnings);
        known_types(report, &resolution, catalog, overrides)?;
        resolutions.push(resolution);
    }
    let is_known = |id: &str| {
        catalog.iter().any(|metric| metric.id == id)
            || earlier.is_some_and(|earlier| earlier.metrics.iter().any(|metric| metric.id == id))
    };
    warnings.extend(overrides.keys().filter(|id| !is_known(id)).map(|id| no_such_metric(id, catalog)));
    let earlier_metrics = earlier.map(|earlier| earlier.metrics.as_slice()).unwrap_or_default();
    let mut columns: BTreeMap<String, ReportColumns> =
        earlier.map(|earlier| earlier.reports.clone()).unwrap_or_default();
    let mut metrics: Vec<Metric> = earlier_metrics
        .iter()
        .map(|metric| changes.known_metric(metric, catalog, overrides.get(&metric.id), &mut ids))
        .collect();
    for metric in catalog {
        if metric.status == MetricStatus::Published && !metrics.iter().any(|known| known.id == metric.id) {
            let requested = resolutions.iter().any(|resolution| resolution.ids.contains(&metric.id));
            metrics.extend(changes.new_metric(metric, overrides.get(&metric.id), requested, &mut ids));
        }
    }
    for (report, resolution) in reports.iter().zip(&resolutions) {
        let now = report_columns(columns.get(&report.name), report, &resolution.ids, &metrics, &mut ids);
        distinct_columns(report, &now)?;
        columns.insert(report.name.clone(), now);
    }
    warnings.append(&mut changes.warnings);
    if earlier.is_some_and(|earlier| earlier.catalog_sha256 == catalog_sha256(catalog)) {
        changes.drift_is_configured();
    }
    let reason = reason(earlier, &changes);
    let drift = changes.drift;
    let version = RegistryVersion {
        format: REGISTRY_FORMAT.to_owned(),
        version: number,
        created_at,
        reason,
        catalog_sha256: catalog_sha256(catalog),
        next_field_id: ids.0,
        metrics,
        reports: columns,
    };
    Ok(match earlier {
        Some(earlier) if says_the_same(earlier, &version) => {
            Evolution { version: earlier.clone(), is_new: false, drift: Vec::new(), warnings }
        }
        _ => Evolution { version, is_new: true, drift, warnings },
    })
}

/// That settings are of a metric that there is not.
fn no_such_metric(id: &str, catalog: &[CatalogMetric]) -> String {
    let named = catalog.iter().find(|metric| metric.display_name == id).map(|metric| metric.id.as_str());
    let meant = named.or_else(|| nearest_name(id, catalog.iter().map(|metric| metric.id.as_str())));
    let hint = meant.map(|id| format!(": did you mean \"{id}\"?")).unwrap_or_default();
    format!("custom_metrics.\"{id}\" in the configuration is of no metric that the tenant has or had{hint}")
}

/// A metric of a type that we do not know can be asked for only where the configuration gives one.
fn known_types(
    report: &ReportRequest,
    resolution: &Resolution,
    catalog: &[CatalogMetric],
    overrides: &BTreeMap<String, MetricOverride>,
) -> Result<(), Failure> {
    let unknown = catalog.iter().find(|metric| {
        resolution.ids.contains(&metric.id)
            && metric.column_type().is_none()
            && overrides.get(&metric.id).is_none_or(|given| given.column_type.is_none())
    });
    match unknown {
        Some(metric) if matches!(report.custom_metrics, Selection::Listed(_)) => Err(Failure::configuration(format!(
            "request the metric {} for reports.{}: its type \"{}\" is unknown",
            metric.id, report.name, metric.data_type
        ))
        .hint(format!("give it one: [tenants.….custom_metrics.\"{}\"] type = \"string\"", metric.id))),
        _ => Ok(()),
    }
}

/// Names must differ also for engines that ignore case.
fn distinct_columns(report: &ReportRequest, columns: &ReportColumns) -> Result<(), Failure> {
    let ours = |column: &Column| column.origin == ColumnOrigin::CustomMetric;
    let reserved = |name: &str| matches!(name, "dt" | "report_date") || name.starts_with('_');
    if let Some(column) = columns.columns.iter().find(|column| ours(column) && reserved(&column.name.to_lowercase())) {
        return Err(Failure::configuration(format!(
            "lay out the columns of reports.{}: the column {:?} of a custom metric is reserved",
            report.name, column.name
        ))
        .hint("list the metrics in custom_metrics, without that one"));
    }
    let mut seen = BTreeSet::new();
    match columns.columns.iter().find(|column| !seen.insert(column.name.to_lowercase())) {
        None => Ok(()),
        Some(column) => Err(Failure::configuration(format!(
            "lay out the columns of reports.{}: two of them would be called \"{}\"",
            report.name, column.name
        ))
        .hint("take one of the two out of group_by, metrics or custom_metrics")),
    }
}

fn says_the_same(earlier: &RegistryVersion, next: &RegistryVersion) -> bool {
    let metrics = |version: &RegistryVersion| -> Vec<Metric> {
        let unversioned = |metric: &Metric| Metric { last_version: 0, ..metric.clone() };
        version.metrics.iter().map(unversioned).collect()
    };
    let same_reports = earlier.reports.len() == next.reports.len()
        && earlier
            .reports
            .iter()
            .all(|(name, report)| next.reports.get(name).is_some_and(|other| other.columns == report.columns));
    same_reports && metrics(earlier) == metrics(next)
}

fn reason(earlier: Option<&RegistryVersion>, changes: &MetricChanges<'_>) -> String {
    if earlier.is_none() {
        return "first version".to_owned();
    }
    let drift: Vec<&str> = changes.drift.iter().map(|event| event.detail.as_str()).collect();
    let configured: Vec<&str> = changes.configured.iter().map(String::as_str).collect();
    let told = |what: &str, details: &[&str]| (!details.is_empty()).then(|| format!("{what}: {}", details.join("; ")));
    let parts: Vec<String> =
        [told("drift", &drift), told("configuration", &configured)].into_iter().flatten().collect();
    match parts.as_slice() {
        [] => "the configuration asks for other columns".to_owned(),
        parts => parts.join("; "),
    }
}
