//! A registry version as a table, for people who look for a metric by its name.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Field, Schema};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::version::{Metric, MetricColumn, RegistryVersion};
use crate::vocabulary::Failure;

/// A row for each column of each metric that the version knows. Lists and rules are JSON texts; what
/// is not there is null.
///
/// # Errors
/// For a version whose time cannot be read.
pub fn metric_catalog(version: &RegistryVersion) -> Result<RecordBatch, Failure> {
    let valid_from: DateTime<Utc> = version.created_at.parse().map_err(|error| {
        Failure::configuration(format!("read the time of registry version {}: {error}", version.version))
            .hint("versions are immutable: restore the file as it was")
    })?;
    let rows: Vec<(&Metric, &MetricColumn)> =
        version.metrics.iter().flat_map(|metric| metric.columns.iter().map(move |column| (metric, column))).collect();
    let text = |value: &dyn Fn(&Metric, &MetricColumn) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(metric, column)| value(metric, column)).collect::<StringArray>())
    };
    let number = |value: &dyn Fn(&Metric, &MetricColumn) -> u32| -> ArrayRef {
        let numbers = rows.iter().map(|(metric, column)| i32::try_from(value(metric, column)).unwrap_or(i32::MAX));
        Arc::new(numbers.collect::<Int32Array>())
    };
    let truth = |value: &dyn Fn(&Metric, &MetricColumn) -> bool| -> ArrayRef {
        Arc::new(BooleanArray::from(rows.iter().map(|(metric, column)| value(metric, column)).collect::<Vec<_>>()))
    };
    let times = TimestampMicrosecondArray::from(vec![valid_from.timestamp_micros(); rows.len()]).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("registry_version", number(&|_, _| version.version)),
        ("valid_from", Arc::new(times)),
        ("metric_id", text(&|metric, _| Some(metric.id.clone()))),
        ("display_name", text(&|metric, _| Some(metric.display_name.clone()))),
        ("earlier_names", text(&|metric, _| list(&metric.earlier_names))),
        ("column_name", text(&|_, column| Some(column.name.clone()))),
        ("type", text(&|_, column| Some(column.column_type.to_string()))),
        ("is_current_type", truth(&|metric, column| column.column_type == metric.column_type)),
        ("constraints", text(&|metric, column| rules(metric, column))),
        ("required", truth(&|metric, _| metric.required)),
        ("status", text(&|metric, _| json(&metric.status).map(|status| status.trim_matches('"').to_owned()))),
        ("reporting_groups", text(&|metric, _| metric.reporting_groups.as_deref().and_then(json))),
        ("column_since_version", number(&|_, column| column.since_version)),
        ("first_version", number(&|metric, _| metric.first_version)),
        ("last_version", number(&|metric, _| metric.last_version)),
    ];
    let fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let columns = columns.iter().map(|(_, column)| Arc::clone(column)).collect();
    RecordBatch::try_new(Arc::new(schema), columns)
        .map_err(|error| Failure::defect(format!("make the metric catalog: {error}")))
}

fn list(texts: &[String]) -> Option<String> {
    if texts.is_empty() { None } else { json(texts) }
}

fn rules(metric: &Metric, column: &MetricColumn) -> Option<String> {
    let rules = json(&metric.constraints).filter(|rules| rules != "{}");
    rules.filter(|_| column.column_type == metric.column_type)
}

fn json<T: Serialize + ?Sized>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}
