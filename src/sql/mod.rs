//! Floor 2: views with the names that people know, as SQL for their engines (contract, `sql`). Nothing
//! is run here, and nothing is read: a registry version says it all.

mod athena;
mod bigquery;
mod duckdb;
mod names;
mod quote;
mod snowflake;

pub use athena::athena;
pub use bigquery::bigquery;
pub use duckdb::{duckdb, duckdb_catalog};
pub use quote::text;
pub use snowflake::snowflake;

use crate::registry::{Column, ColumnOrigin, Metric, MetricStatus};
use crate::vocabulary::ColumnType;

/// The one integer of 32 bits among the columns.
const SCHEMA_VERSION: &str = "_schema_version";

/// The views of one report.
#[derive(Clone, Debug)]
pub struct View {
    /// The report's name: the view's, in an engine that reads the lake.
    pub report: String,
    /// The report's table in warehouses; its view stands beside it.
    pub table: String,
    /// What it is of, for people.
    pub comment: String,
    /// The registry version that it was made from.
    pub registry_version: u32,
    /// Its columns, in order.
    pub columns: Vec<ViewColumn>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewColumn {
    /// Its name in the files and tables.
    pub column: String,
    /// Its name in the view, different from any other's in any case of letters.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// What it is, for people.
    pub comment: String,
}

impl View {
    /// The name of the view beside a warehouse's table.
    pub fn beside_table(&self) -> String {
        format!("{}_view", self.table)
    }
}

/// The columns of a report under the names that people know. The columns of a metric, one for each
/// type that it had, stand side by side; a metric whose name is taken has its id in the name too.
pub fn view_columns(columns: &[Column], metrics: &[Metric]) -> Vec<ViewColumn> {
    let names = names::view_names(columns, metrics);
    let place = |column: &Column| {
        columns.iter().position(|other| other.origin == column.origin && other.source == column.source)
    };
    let mut view: Vec<(Option<usize>, ViewColumn)> = Vec::new();
    for (column, name) in columns.iter().zip(names) {
        let metric = metrics.iter().find(|metric| metric.id == column.source);
        let comment = comment(column, metric.filter(|_| column.origin == ColumnOrigin::CustomMetric));
        let (column_type, physical) = (column.column_type, column.name.clone());
        view.push((place(column), ViewColumn { column: physical, name, column_type, comment }));
    }
    view.sort_by_key(|(place, _)| *place);
    view.into_iter().map(|(_, column)| column).collect()
}

fn comment(column: &Column, metric: Option<&Metric>) -> String {
    match (column.origin, metric) {
        (ColumnOrigin::ReportDate, _) => "The window's day in the tenant's time zone".to_owned(),
        (ColumnOrigin::Unmapped, _) => "Keys that nobody asked for, as a JSON object of exact texts".to_owned(),
        (ColumnOrigin::SchemaVersion, _) => "The registry version of the row".to_owned(),
        (ColumnOrigin::GroupBy | ColumnOrigin::Metric, _) | (ColumnOrigin::CustomMetric, None) => {
            format!("{} at the tenant, {}", column.source, column.column_type)
        }
        (ColumnOrigin::CustomMetric, Some(metric)) => metric_comment(column, metric),
    }
}

fn metric_comment(column: &Column, metric: &Metric) -> String {
    let mut parts = vec![format!("{} ({}), {}", metric.display_name, metric.id, column.column_type)];
    if column.column_type != metric.column_type {
        parts.push(format!("its values before it was {}", metric.column_type));
    } else if column.constraints != crate::vocabulary::Constraints::default() {
        parts.push(serde_json::to_string(&column.constraints).unwrap_or_default());
    }
    if metric.status == MetricStatus::Retired {
        parts.push("retired".to_owned());
    }
    if !metric.earlier_names.is_empty() {
        parts.push(format!("earlier {}", metric.earlier_names.join(", ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests;
