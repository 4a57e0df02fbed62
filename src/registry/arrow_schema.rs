//! From a report's columns to the Arrow schema of its files (contract, "The lake").

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::version::{Column, ColumnOrigin, ReportColumns};
use crate::vocabulary::ColumnType;

/// The Arrow type of a column type.
pub fn arrow_type(column_type: ColumnType) -> DataType {
    match column_type {
        ColumnType::String => DataType::Utf8,
        ColumnType::Number => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
        }
        ColumnType::Integer => DataType::Int64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Date => DataType::Date32,
    }
}

/// The schema of a report's data files: every column optional, with its field id, and for custom
/// metrics the id and the display name in the field's metadata.
pub fn data_schema(report: &ReportColumns) -> SchemaRef {
    let fields: Vec<Field> = report.columns.iter().map(field).collect();
    Arc::new(Schema::new(fields))
}

fn field(column: &Column) -> Field {
    let data_type = match column.origin {
        ColumnOrigin::SchemaVersion => DataType::Int32,
        _ => arrow_type(column.column_type),
    };
    let mut metadata = HashMap::from([("PARQUET:field_id".to_owned(), column.field_id.to_string())]);
    if column.origin == ColumnOrigin::CustomMetric {
        metadata.insert("cxlake.metric_id".to_owned(), column.source.clone());
        if let Some(name) = &column.display_name {
            metadata.insert("cxlake.display_name".to_owned(), name.clone());
        }
    }
    Field::new(&column.name, data_type, true).with_metadata(metadata)
}
