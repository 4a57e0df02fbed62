//! What is different between two versions of a registry, for a person who decides about it.

use super::constraint_change::{ConstraintChange, Rules, constraint_changes};
use super::version::{Column, ColumnOrigin, Metric, RegistryVersion};
use super::{MetricColumn, MetricStatus};

/// A metric that is another in the newer version.
#[derive(Clone, Debug)]
pub struct MetricDifference {
    /// The metric's id.
    pub id: String,
    /// Its display name in the newer version.
    pub display_name: String,
    /// What changed, each a sentence.
    pub changes: Vec<String>,
    /// Rules that changed, and the column whose stored values they concern.
    pub rules: Vec<ConstraintChange>,
    /// The column of its values in the newer version.
    pub column: Option<MetricColumn>,
    /// The metric in the newer version.
    pub newer: Metric,
}

/// A column that files of the newer version have and those of the older one have not.
#[derive(Clone, Debug)]
pub struct AddedColumn {
    /// The report's name.
    pub report: String,
    /// The column.
    pub column: Column,
}

/// The metrics that differ, and the columns that were added, in the registry's order.
pub fn difference(older: &RegistryVersion, newer: &RegistryVersion) -> (Vec<MetricDifference>, Vec<AddedColumn>) {
    let metrics = newer.metrics.iter().filter_map(|metric| {
        let before = older.metrics.iter().find(|known| known.id == metric.id);
        metric_difference(before, metric)
    });
    let added = newer.reports.iter().flat_map(|(report, columns)| {
        let before = older.reports.get(report).map(|columns| columns.columns.as_slice()).unwrap_or_default();
        columns
            .columns
            .iter()
            .filter(|column| !before.iter().any(|known| known.name == column.name))
            .map(|column| AddedColumn { report: report.clone(), column: column.clone() })
    });
    (metrics.collect(), added.collect())
}

fn metric_difference(before: Option<&Metric>, after: &Metric) -> Option<MetricDifference> {
    let (mut changes, mut rules) = (Vec::new(), Vec::new());
    match before {
        None => changes.push(format!("is new, of type {}", after.column_type)),
        Some(before) => {
            if before.display_name != after.display_name {
                changes.push(format!("was called {:?}, is now {:?}", before.display_name, after.display_name));
            }
            if before.column_type != after.column_type {
                changes.push(format!("was {}, is now {}", before.column_type, after.column_type));
            }
            match (before.status, after.status) {
                (MetricStatus::Published, MetricStatus::Retired) => changes.push("is retired".to_owned()),
                (MetricStatus::Retired, MetricStatus::Published) => changes.push("is published again".to_owned()),
                _ => {}
            }
            if before.reporting_groups != after.reporting_groups {
                changes.push("is assigned to other reporting groups".to_owned());
            }
            rules = constraint_changes(rules_of(before), rules_of(after));
        }
    }
    (!changes.is_empty() || !rules.is_empty()).then(|| MetricDifference {
        id: after.id.clone(),
        display_name: after.display_name.clone(),
        changes,
        rules,
        column: after.current_column().cloned(),
        newer: after.clone(),
    })
}

fn rules_of(metric: &Metric) -> Rules<'_> {
    Rules { constraints: &metric.constraints, required: metric.required }
}

impl AddedColumn {
    /// Whether a metric of the tenant's fills it.
    pub fn is_custom(&self) -> bool {
        self.column.origin == ColumnOrigin::CustomMetric
    }
}
