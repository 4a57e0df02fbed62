//! What became of each metric since the registry's newest version.

use super::constraint_change::{ConstraintChange, Rules, constraint_changes};
use super::report_columns::FieldIds;
use super::version::{Metric, MetricColumn};
use super::{CatalogMetric, MetricStatus};
use crate::vocabulary::{ColumnType, Constraints, DriftEvent, DriftKind};

/// What the configuration says of a metric over the catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricOverride {
    /// Whether every record must have it.
    pub required: Option<bool>,
    /// The type of its column.
    pub column_type: Option<ColumnType>,
    /// The most digits after the decimal point.
    pub precision: Option<u64>,
    /// Further keywords of JSON Schema.
    pub schema: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Collects what changed: at the tenant, which is drift, and by the configuration, which is not.
#[derive(Debug)]
pub(super) struct MetricChanges<'a> {
    tenant: &'a str,
    number: u32,
    is_first: bool,
    pub(super) drift: Vec<DriftEvent>,
    /// What the configuration changed.
    pub(super) configured: Vec<String>,
    /// What an operator should know.
    pub(super) warnings: Vec<String>,
}

impl<'a> MetricChanges<'a> {
    /// Changes that a version `number` holds. The first version has none.
    pub(super) fn new(tenant: &'a str, number: u32, is_first: bool) -> Self {
        Self { tenant, number, is_first, drift: Vec::new(), configured: Vec::new(), warnings: Vec::new() }
    }

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
            report: None,
            records: None,
            first_window: None,
            first_record: None,
        });
    }

    /// The tenant's catalog is as it was: what changed, the configuration changed.
    pub(super) fn drift_is_configured(&mut self) {
        self.configured.extend(self.drift.drain(..).map(|event| event.detail));
    }

    /// A metric that the registry does not know; `None` where its type is unknown.
    pub(super) fn new_metric(
        &mut self,
        metric: &CatalogMetric,
        given: Option<&MetricOverride>,
        requested: bool,
        ids: &mut FieldIds,
    ) -> Option<Metric> {
        let Some(column_type) = column_type(metric, given) else {
            self.warn_of_unknown_type(metric, "it is not requested");
            return None;
        };
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
            constraints: constraints(metric, given),
            required: required(metric, given),
            status: MetricStatus::Published,
            reporting_groups: metric.reporting_groups.clone(),
            columns: vec![column],
            first_version: self.number,
            last_version: self.number,
        })
    }

    /// A metric that the registry knows, as it is now.
    pub(super) fn known_metric(
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
            let detail = format!("{:?} ({}) is published again", known.display_name, known.id);
            self.note(DriftKind::Restored, &known.id, detail);
        }
        self.rename(&mut next, metric);
        self.retype(&mut next, metric, given, ids);
        self.constrain(&mut next, metric, given);
        self.assign(&mut next, metric);
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
        let Some(column_type) = column_type(metric, given) else {
            self.warn_of_unknown_type(metric, &format!("its values are still read as {}", next.column_type));
            return;
        };
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
        if given.is_some_and(|given| given.column_type.is_some()) {
            self.configured.push(detail);
        } else {
            self.note(DriftKind::TypeChanged, &metric.id, detail);
        }
        next.column_type = column_type;
    }

    fn constrain(&mut self, next: &mut Metric, metric: &CatalogMetric, given: Option<&MetricOverride>) {
        let (constraints, required) = (constraints(metric, given), required(metric, given));
        let before = Rules { constraints: &next.constraints, required: next.required };
        let after = Rules { constraints: &constraints, required };
        let is_configured = |change: &ConstraintChange| match (change.rule, given) {
            ("schema", _) => true,
            ("required", Some(given)) => given.required.is_some(),
            ("precision", Some(given)) => given.precision.is_some(),
            _ => false,
        };
        let (configured, drifted): (Vec<_>, Vec<_>) =
            constraint_changes(before, after).into_iter().partition(is_configured);
        let detail = |changes: &[ConstraintChange]| {
            let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
            format!("{:?} ({}): {}", metric.display_name, metric.id, texts.join(", "))
        };
        if !drifted.is_empty() {
            self.note(DriftKind::ConstraintsChanged, &metric.id, detail(&drifted));
        }
        if !configured.is_empty() {
            self.configured.push(detail(&configured));
        }
        next.constraints = constraints;
        next.required = required;
    }

    fn assign(&mut self, next: &mut Metric, metric: &CatalogMetric) {
        let sorted = |groups: &Option<Vec<String>>| {
            groups.clone().map(|mut groups| {
                groups.sort_unstable();
                groups
            })
        };
        // Their order means nothing.
        if sorted(&next.reporting_groups) == sorted(&metric.reporting_groups) {
            return;
        }
        let text = |groups: &Option<Vec<String>>| match groups {
            Some(groups) => format!("[{}]", groups.join(", ")),
            None => "groups that the catalog does not say".to_owned(),
        };
        let (before, after) = (text(&next.reporting_groups), text(&metric.reporting_groups));
        let detail = format!("{:?} ({}) was assigned to {before}, is now to {after}", metric.display_name, metric.id);
        self.note(DriftKind::AssignmentChanged, &metric.id, detail);
        next.reporting_groups.clone_from(&metric.reporting_groups);
    }

    fn warn_of_unknown_type(&mut self, metric: &CatalogMetric, consequence: &str) {
        self.warnings.push(format!(
            "the metric {:?} ({}) has the unknown type {:?}: {consequence} until \
             [tenants.….custom_metrics.\"{}\"] gives it one",
            metric.display_name, metric.id, metric.data_type, metric.id
        ));
    }
}

fn column_type(metric: &CatalogMetric, given: Option<&MetricOverride>) -> Option<ColumnType> {
    given.and_then(|given| given.column_type).or_else(|| metric.column_type())
}

fn required(metric: &CatalogMetric, given: Option<&MetricOverride>) -> bool {
    given.and_then(|given| given.required).unwrap_or(metric.required)
}

fn constraints(metric: &CatalogMetric, given: Option<&MetricOverride>) -> Constraints {
    let mut constraints = metric.constraints.clone();
    if let Some(given) = given {
        constraints.precision = given.precision.or(constraints.precision);
        constraints.schema.clone_from(&given.schema);
    }
    constraints
}
