//! One version of the registry, as its file holds it (`schemas/registry.schema.json`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MetricStatus;
use crate::vocabulary::{ColumnType, Constraints};

/// The format of registry files.
pub const REGISTRY_FORMAT: &str = "cxlake.registry/1";

/// One immutable version: `registry/vNNNN.json` in the lake.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "cxlake registry version")]
pub struct RegistryVersion {
    /// `cxlake.registry/1`.
    pub format: String,
    /// 1, 2, 3, …
    pub version: u32,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// Why it was made.
    pub reason: String,
    /// The hash of the catalog that it was made from.
    pub catalog_sha256: String,
    /// The id that the next new column gets; ids are never used again.
    pub next_field_id: i32,
    /// Metrics in the order in which the registry learnt them.
    pub metrics: Vec<Metric>,
    /// The columns of each report.
    pub reports: BTreeMap<String, ReportColumns>,
}

/// A custom metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Metric {
    /// Its id at the tenant.
    pub id: String,
    /// Its display name now.
    pub display_name: String,
    /// Display names it had before, oldest first.
    pub earlier_names: Vec<String>,
    /// The type of its values now.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// The rules beside the type.
    pub constraints: Constraints,
    /// Whether every record must have it.
    pub required: bool,
    /// Whether it is asked for.
    pub status: MetricStatus,
    /// The groups it is assigned to, where the catalog says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reporting_groups: Option<Vec<String>>,
    /// Its column for each type that it ever had; a type keeps its column for ever.
    pub columns: Vec<MetricColumn>,
    /// The version that first held it.
    pub first_version: u32,
    /// The newest version in which it was published.
    pub last_version: u32,
}

impl Metric {
    /// The column for the type that the metric has now.
    pub fn current_column(&self) -> Option<&MetricColumn> {
        self.columns.iter().find(|column| column.column_type == self.column_type)
    }
}

/// The column of a metric for one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MetricColumn {
    /// The column's name: the id, for a later type with the type behind it.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Its id in Parquet files.
    pub field_id: i32,
    /// The version that first held it.
    pub since_version: u32,
}

/// The columns of a report's files, and the schema of its records.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ReportColumns {
    /// All columns in the order of the files.
    pub columns: Vec<Column>,
    /// JSON Schema (draft-07) of a record.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub record_schema: Box<serde_json::value::RawValue>,
}

impl ReportColumns {
    /// These columns, asked for and judged by the rules of another version of them.
    #[must_use]
    pub fn under(&self, rules: &Self) -> Self {
        let columns = self.columns.iter().map(|column| {
            let ruled = rules.columns.iter().find(|ruled| ruled.name == column.name);
            Column {
                requested: ruled.is_some_and(|ruled| ruled.requested),
                required: ruled.is_some_and(|ruled| ruled.required),
                constraints: ruled.map(|ruled| ruled.constraints.clone()).unwrap_or_default(),
                ..column.clone()
            }
        });
        Self { columns: columns.collect(), record_schema: rules.record_schema.clone() }
    }
}

/// One column of a report's files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What fills it.
    pub origin: ColumnOrigin,
    /// The key in the record, or the metric's id; empty for what we add.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Other spellings of the key that filled it before, which records of that time have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_sources: Vec<String>,
    /// Its type; `_schema_version` is an int32 in spite of `integer`.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether every record must have a value.
    pub required: bool,
    /// The rules beside the type.
    pub constraints: Constraints,
    /// Whether it is asked for; else it is null.
    pub requested: bool,
    /// Its id in Parquet files.
    pub field_id: i32,
    /// The metric's display name, for a custom metric.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// What fills a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnOrigin {
    /// The window's date.
    ReportDate,
    /// A key of `groupBy`.
    GroupBy,
    /// A standard metric.
    Metric,
    /// A custom metric.
    CustomMetric,
    /// Keys that nobody asked for.
    Unmapped,
    /// The registry version.
    SchemaVersion,
}
