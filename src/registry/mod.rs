//! Floor 1: what a custom metric is, and which columns a report has. A registry is a row of
//! immutable versions; everything here is pure, the files are kept by [`crate::run`].

mod arrow_schema;
mod catalog;
mod constraint_change;
mod difference;
mod evolve;
mod metric_catalog;
mod metric_changes;
mod record_schema;
mod report_columns;
mod resolve;
mod version;

pub use arrow_schema::{arrow_type, data_schema};
pub use catalog::{CatalogMetric, MetricStatus, catalog_sha256};
pub use constraint_change::{ConstraintChange, Direction, Rules, constraint_changes};
pub use difference::{AddedColumn, MetricDifference, difference};
pub use evolve::{Evolution, evolve};
pub use metric_catalog::metric_catalog;
pub use metric_changes::MetricOverride;
pub use report_columns::{ReportRequest, Selection, StandardColumnRequest};
pub use resolve::{Resolution, resolve};
pub use version::{Column, ColumnOrigin, Metric, MetricColumn, REGISTRY_FORMAT, RegistryVersion, ReportColumns};

#[cfg(test)]
mod tests;
