//! The columns of a report, old ones kept and new ones added.

use super::version::{Column, ColumnOrigin, Metric, ReportColumns};
use super::{MetricStatus, record_schema};
use crate::vocabulary::{ColumnType, Constraints};

/// What a report asks for, in the registry's own words.
#[derive(Clone, Debug)]
pub struct ReportRequest {
    /// The report's name in the lake.
    pub name: String,
    /// The group that the report is filtered by.
    pub group: Option<String>,
    /// Keys of `groupBy`.
    pub group_by: Vec<StandardColumnRequest>,
    /// Standard metrics.
    pub metrics: Vec<StandardColumnRequest>,
    /// Custom metrics.
    pub custom_metrics: Selection,
}

/// Custom metrics of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that are published (and assigned to the report's group).
    All,
    /// These, by id or display name.
    Listed(Vec<String>),
}

/// A column that a key of `groupBy` or a standard metric fills.
#[derive(Clone, Debug)]
pub struct StandardColumnRequest {
    /// The key in the record.
    pub source: String,
    /// The column's name.
    pub name: String,
    /// The column's type.
    pub column_type: ColumnType,
    /// Whether every record must have it.
    pub required: bool,
    /// The rules beside the type.
    pub constraints: Constraints,
}

/// Hands out field ids.
pub(super) struct FieldIds(pub(super) i32);

impl FieldIds {
    pub(super) fn take(&mut self) -> i32 {
        let id = self.0;
        self.0 += 1;
        id
    }
}

/// The report's columns now: every column that it ever had, in the order of their kinds and within
/// a kind in the order in which they came.
pub(super) fn report_columns(
    earlier: Option<&ReportColumns>,
    request: &ReportRequest,
    requested_metrics: &[String],
    metrics: &[Metric],
    ids: &mut FieldIds,
) -> ReportColumns {
    let known = earlier.map(|report| report.columns.as_slice()).unwrap_or_default();
    let mut columns = vec![added(known, ColumnOrigin::ReportDate, "report_date", ColumnType::Date, ids)];
    columns.extend(standard(known, request, ids));
    columns.extend(custom(known, requested_metrics, metrics));
    columns.push(added(known, ColumnOrigin::Unmapped, "_unmapped", ColumnType::String, ids));
    columns.push(added(known, ColumnOrigin::SchemaVersion, "_schema_version", ColumnType::Integer, ids));
    let record_schema = record_schema::record_schema(&columns);
    ReportColumns { columns, record_schema }
}

fn added(known: &[Column], origin: ColumnOrigin, name: &str, column_type: ColumnType, ids: &mut FieldIds) -> Column {
    known.iter().find(|column| column.origin == origin).cloned().unwrap_or_else(|| Column {
        name: name.to_owned(),
        origin,
        source: String::new(),
        earlier_sources: Vec::new(),
        column_type,
        required: false,
        constraints: Constraints::default(),
        requested: false,
        field_id: ids.take(),
        display_name: None,
    })
}

/// Columns of keys of `groupBy` and of standard metrics: those that the report ever had, and those that it asks for now.
fn standard(known: &[Column], report: &ReportRequest, ids: &mut FieldIds) -> Vec<Column> {
    let is_standard = |column: &&Column| matches!(column.origin, ColumnOrigin::GroupBy | ColumnOrigin::Metric);
    let mut columns: Vec<Column> = known.iter().filter(is_standard).cloned().collect();
    for column in &mut columns {
        column.requested = false;
        column.required = false;
    }
    let group_by = report.group_by.iter().map(|request| (ColumnOrigin::GroupBy, request));
    let requests = || group_by.clone().chain(report.metrics.iter().map(|request| (ColumnOrigin::Metric, request)));
    for (origin, request) in requests() {
        // A type never changes in place: another type for the same key is another column.
        let typed_name = format!("{}__{}", request.name, request.column_type.name_suffix());
        let is_of_key = |column: &Column| column.source == request.source && column.column_type == request.column_type;
        // The tenant has another spelling for a key that is no longer asked for as it was.
        let is_respelled = |column: &Column| {
            column.column_type == request.column_type
                && (column.name == request.name || column.name == typed_name)
                && !requests().any(|(_, other)| other.source == column.source)
        };
        let found = columns.iter().position(is_of_key).or_else(|| columns.iter().position(is_respelled));
        if let Some(place) = found {
            let column = &mut columns[place];
            column.origin = origin;
            if column.source != request.source {
                column.earlier_sources.retain(|spelling| *spelling != request.source);
                column.earlier_sources.push(std::mem::replace(&mut column.source, request.source.clone()));
            }
            column.requested = true;
            column.required = request.required;
            column.constraints = request.constraints.clone();
            continue;
        }
        let is_retyped = columns.iter().any(|column| column.source == request.source || column.name == request.name);
        columns.push(Column {
            name: if is_retyped { typed_name } else { request.name.clone() },
            origin,
            source: request.source.clone(),
            earlier_sources: Vec::new(),
            column_type: request.column_type,
            required: request.required,
            constraints: request.constraints.clone(),
            requested: true,
            field_id: ids.take(),
            display_name: None,
        });
    }
    // The keys of `groupBy` stand first.
    columns.sort_by_key(|column| column.origin == ColumnOrigin::Metric);
    columns
}

/// Columns of custom metrics: those that the report ever had, and those that it asks for now.
fn custom(known: &[Column], requested_metrics: &[String], metrics: &[Metric]) -> Vec<Column> {
    let mut columns = Vec::new();
    for metric in metrics {
        let requested = requested_metrics.contains(&metric.id) && metric.status == MetricStatus::Published;
        for metric_column in &metric.columns {
            let current = metric_column.column_type == metric.column_type;
            let was_there = known.iter().any(|column| column.field_id == metric_column.field_id);
            let belongs = was_there || (requested && current);
            if !belongs {
                continue;
            }
            columns.push(Column {
                name: metric_column.name.clone(),
                origin: ColumnOrigin::CustomMetric,
                source: metric.id.clone(),
                earlier_sources: Vec::new(),
                column_type: metric_column.column_type,
                required: requested && current && metric.required,
                constraints: if current { metric.constraints.clone() } else { Constraints::default() },
                requested: requested && current,
                field_id: metric_column.field_id,
                display_name: Some(metric.display_name.clone()),
            });
        }
    }
    // The order in which columns came is that of their ids.
    columns.sort_by_key(|column| column.field_id);
    columns
}
