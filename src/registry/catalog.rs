//! The tenant's catalog, in neutral words.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::vocabulary::{ColumnType, Constraints};

/// A custom metric as the tenant has it now.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogMetric {
    /// The id: what requests and records hold.
    pub id: String,
    /// What administrators call it.
    pub display_name: String,
    /// The tenant's word for its type.
    pub data_type: String,
    /// The rules beside the type.
    pub constraints: Constraints,
    /// Whether every record has it.
    pub required: bool,
    /// Whether it can be asked for.
    pub status: MetricStatus,
    /// The groups it is assigned to; `None` where the catalog does not say.
    pub reporting_groups: Option<Vec<String>>,
}

impl CatalogMetric {
    /// The column type for the tenant's word; `None` for a word that we do not know.
    pub fn column_type(&self) -> Option<ColumnType> {
        match self.data_type.as_str() {
            "number" => Some(ColumnType::Number),
            "integer" => Some(ColumnType::Integer),
            "boolean" => Some(ColumnType::Boolean),
            "string" => Some(ColumnType::String),
            _ => None,
        }
    }
}

/// Whether a metric can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetricStatus {
    /// It can.
    Published,
    /// Not yet.
    Draft,
    /// No longer, or gone from the catalog.
    Retired,
}

/// The hash of what matters in a catalog: neither order nor anything the registry does not hold. It takes in published
/// metrics only, and one that is retired is like one that is gone.
pub fn catalog_sha256(catalog: &[CatalogMetric]) -> String {
    let mut lines: Vec<String> = catalog
        .iter()
        .filter(|metric| metric.status == MetricStatus::Published)
        .map(|metric| {
            let mut reporting_groups = metric.reporting_groups.clone();
            reporting_groups.iter_mut().for_each(|groups| groups.sort_unstable());
            let constraints = serde_json::to_string(&metric.constraints).unwrap_or_default();
            format!(
                "{:?} {:?} {:?} {constraints} {} {:?} {:?}\n",
                metric.id, metric.display_name, metric.data_type, metric.required, metric.status, reporting_groups
            )
        })
        .collect();
    lines.sort_unstable();
    let digest = Sha256::digest(lines.concat().as_bytes());
    digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
