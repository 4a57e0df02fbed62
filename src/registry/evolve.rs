//! From one registry version to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::report_columns::{FieldIds, ReportRequest, Selection, report_columns};
use super::resolve::{Resolution, resolve};
use super::version::{Column, ColumnOrigin, Metric, MetricColumn, REGISTRY_FORMAT, RegistryVersion, ReportColumns};
use super::{CatalogMetric, MetricStatus, catalog_sha256};
use crate::vocabulary::{ColumnType, DriftEvent, DriftKind, Failure};

/// What the configuration says of a metric over the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricOverride {
    /// Whether every record must have it.
    pub required: Option<bool>,
    /// The type of its column.
    pub column_type: Option<ColumnType>,
}

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
    let mut changes = Changes { tenant, number, is_first: earlier.is_none(), drift: Vec::new() };
    let mut warnings = Vec::new();
    let mut resolutions = Vec::new();
    for report in reports {
        let mut resolution = resolve(report, catalog, earlier)?;
        warnings.append(&mut resolution.warnings);
        known_types(report, &resolution, catalog, overrides)?;
        resolutions.push(resolution);
    }
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
    let drift = changes.drift;
    let reason = reason(earlier, &drift);
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

fn reason(earlier: Option<&RegistryVersion>, drift: &[DriftEvent]) -> String {
    match (earlier, drift) {
        (None, _) => "first version".to_owned(),
        (Some(_), []) => "the configuration asks for other columns".to_owned(),
        (Some(_), drift) => {
            let details: Vec<&str> = drift.iter().map(|event| event.detail.as_str()).collect();
            format!("drift: {}", details.join("; "))
        }
    }
}

struct Changes<'a> {
    tenant: &'a str,
    number: u32,
    is_first: bool,
    drift: Vec<DriftEvent>,
}

impl Changes<'_> {
    fn note(&mut self, kind: DriftKind, id: &str, detail: String) {
        if self.is_first {
            return;
        }
        self.drift.push(DriftEvent {
            tenant: self.tenant.to_owned(),
            kind,
            id: id.to_owned(),
            detail,
            registry_version: Some(self.number),
            records: None,
        });
    }

    fn new_metric(
        &mut self,
        metric: &CatalogMetric,
        given: Option<&MetricOverride>,
        requested: bool,
        ids: &mut FieldIds,
    ) -> Option<Metric> {
        let column_type = given.and_then(|given| given.column_type).or_else(|| metric.column_type())?;
        let advice = if requested { "" } else { "; it can be added to custom_metrics" };
        let detail = format!("new metric {:?} ({}) of type {column_type}{advice}", metric.display_name, metric.id);
        self.note(DriftKind::NewMetric, &metric.id, detail);
        let column =
            MetricColumn { name: metric.id.clone(), column_type, field_id: ids.take(), since_version: self.number };
        Some(Metric {
            id: metric.id.clone(),
            display_name: metric.display_name.clone(),
            earlier_names: Vec::new(),
            column_type,
            constraints: metric.constraints.clone(),
            required: given.and_then(|given| given.required).unwrap_or(metric.required),
            status: MetricStatus::Published,
            reporting_groups: metric.reporting_groups.clone(),
            columns: vec![column],
            first_version: self.number,
            last_version: self.number,
        })
    }

    fn known_metric(
        &mut self,
        known: &Metric,
        catalog: &[CatalogMetric],
        given: Option<&MetricOverride>,
        ids: &mut FieldIds,
    ) -> Metric {
        let mut next = known.clone();
        let current = catalog.iter().find(|metric| metric.id == known.id);
        let published = current.filter(|metric| metric.status == MetricStatus::Published);
        let Some(metric) = published else {
            next.status = MetricStatus::Retired;
            if known.status == MetricStatus::Published {
                let how = if current.is_some() { "is no longer published" } else { "is gone from the catalog" };
                self.note(DriftKind::Retired, &known.id, format!("{:?} ({}) {how}", known.display_name, known.id));
            }
            return next;
        };
        next.last_version = self.number;
        next.status = MetricStatus::Published;
        if known.status != MetricStatus::Published {
            self.note(
                DriftKind::Restored,
                &known.id,
                format!("{:?} ({}) is published again", known.display_name, known.id),
            );
        }
        self.rename(&mut next, metric);
        self.retype(&mut next, metric, given, ids);
        self.constrain(&mut next, metric, given);
        next.reporting_groups.clone_from(&metric.reporting_groups);
        next
    }

    fn rename(&mut self, next: &mut Metric, metric: &CatalogMetric) {
        if next.display_name == metric.display_name {
            return;
        }
        let detail = format!("{} was {:?}, is now {:?}", metric.id, next.display_name, metric.display_name);
        self.note(DriftKind::Renamed, &metric.id, detail);
        next.earlier_names.retain(|name| *name != metric.display_name);
        next.earlier_names.push(std::mem::replace(&mut next.display_name, metric.display_name.clone()));
    }

    fn retype(
        &mut self,
        next: &mut Metric,
        metric: &CatalogMetric,
        given: Option<&MetricOverride>,
        ids: &mut FieldIds,
    ) {
        let given_type = given.and_then(|given| given.column_type);
        let Some(column_type) = given_type.or_else(|| metric.column_type()) else { return };
        if column_type == next.column_type {
            return;
        }
        let known =
            next.columns.iter().find(|column| column.column_type == column_type).map(|column| column.name.clone());
        let name = known.unwrap_or_else(|| {
            let name = format!("{}__{}", metric.id, column_type.name_suffix());
            let since_version = self.number;
            next.columns.push(MetricColumn { name: name.clone(), column_type, field_id: ids.take(), since_version });
            name
        });
        let detail = format!("{} was {}, is now {column_type}, in column {name}", metric.id, next.column_type);
        self.note(DriftKind::TypeChanged, &metric.id, detail);
        next.column_type = column_type;
    }

    fn constrain(&mut self, next: &mut Metric, metric: &CatalogMetric, given: Option<&MetricOverride>) {
        let required = given.and_then(|given| given.required).unwrap_or(metric.required);
        if next.constraints != metric.constraints || next.required != required {
            let written = |constraints| serde_json::to_string(constraints).unwrap_or_default();
            let detail = format!(
                "{} was {} required={}, is now {} required={required}",
                metric.id,
                written(&next.constraints),
                next.required,
                written(&metric.constraints)
            );
            self.note(DriftKind::ConstraintsChanged, &metric.id, detail);
            next.constraints = metric.constraints.clone();
            next.required = required;
        }
    }
}
