//! Accepted rows, one Arrow builder a column; exact types only.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Array, Date32Builder, Decimal128Builder, Float64Builder, Int32Array, Int64Builder,
    RecordBatch, StringBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use arrow::error::ArrowError;

use super::cells::{Cell, Cells};
use super::plan::{DecodePlan, PlannedColumn};
use crate::registry::{ColumnOrigin, arrow_type};
use crate::vocabulary::ColumnType;

#[derive(Debug)]
enum Builder {
    Text(StringBuilder),
    Float(Float64Builder),
    Integer(Int64Builder),
    Decimal(Decimal128Builder),
    Boolean(BooleanBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    /// One value for all rows, known when the batch is finished.
    Constant,
}

/// Rows on their way into a batch.
#[derive(Debug)]
pub(super) struct DataBatch {
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
    report_date: i32,
    schema_version: i32,
}

impl DataBatch {
    pub(super) fn new(plan: &DecodePlan, report_date: i32) -> Self {
        Self {
            builders: plan.columns.iter().map(builder).collect(),
            rows: 0,
            bytes: 0,
            report_date,
            schema_version: i32::try_from(plan.registry_version).unwrap_or(i32::MAX),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the records whose rows are here.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a row. `record` is the text that the cells' ranges refer to.
    pub(super) fn append(&mut self, cells: &Cells, record: &str, unmapped: Option<&str>, plan: &DecodePlan) {
        for (column, builder) in self.builders.iter_mut().enumerate() {
            match builder {
                Builder::Constant => {}
                Builder::Text(builder) if plan.columns[column].origin == ColumnOrigin::Unmapped => {
                    builder.append_option(unmapped);
                }
                Builder::Text(builder) => builder.append_option(cells.text(column, record)),
                Builder::Float(builder) => builder.append_option(match cells.get(column) {
                    Cell::Float(value) => Some(*value),
                    _ => None,
                }),
                Builder::Integer(builder) => builder.append_option(match cells.get(column) {
                    Cell::Integer(value) => Some(*value),
                    _ => None,
                }),
                Builder::Decimal(builder) => builder.append_option(match cells.get(column) {
                    Cell::Decimal(value) => Some(*value),
                    _ => None,
                }),
                Builder::Boolean(builder) => builder.append_option(match cells.get(column) {
                    Cell::Boolean(value) => Some(*value),
                    _ => None,
                }),
                Builder::Timestamp(builder) => builder.append_option(match cells.get(column) {
                    Cell::Timestamp(value) => Some(*value),
                    _ => None,
                }),
                Builder::Date(builder) => builder.append_option(match cells.get(column) {
                    Cell::Date(value) => Some(*value),
                    _ => None,
                }),
            }
        }
        self.rows += 1;
        self.bytes += record.len();
    }

    /// The rows so far as a batch; the builders begin anew.
    pub(super) fn finish(&mut self, plan: &DecodePlan) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let (report_date, schema_version) = (self.report_date, self.schema_version);
        let arrays = self.builders.iter_mut().zip(&plan.columns).map(|(builder, column)| -> ArrayRef {
            match builder {
                Builder::Text(builder) => {
                    // The next batch is like this one: room for it at once spares copies while it grows.
                    let next = StringBuilder::with_capacity(rows, builder.values_slice().len());
                    Arc::new(std::mem::replace(builder, next).finish())
                }
                Builder::Float(builder) => Arc::new(builder.finish()),
                Builder::Integer(builder) => Arc::new(builder.finish()),
                Builder::Decimal(builder) => Arc::new(builder.finish()),
                Builder::Boolean(builder) => Arc::new(builder.finish()),
                Builder::Timestamp(builder) => Arc::new(builder.finish()),
                Builder::Date(builder) => Arc::new(builder.finish()),
                Builder::Constant => match column.origin {
                    ColumnOrigin::ReportDate => Arc::new(Date32Array::from_value(report_date, rows)),
                    ColumnOrigin::SchemaVersion => Arc::new(Int32Array::from_value(schema_version, rows)),
                    _ => new_null_array(&arrow_type(column.column_type), rows),
                },
            }
        });
        RecordBatch::try_new(Arc::clone(&plan.schema), arrays.collect())
    }
}

fn builder(column: &PlannedColumn) -> Builder {
    match column.origin {
        ColumnOrigin::ReportDate | ColumnOrigin::SchemaVersion => return Builder::Constant,
        ColumnOrigin::Unmapped => {}
        ColumnOrigin::GroupBy | ColumnOrigin::Metric | ColumnOrigin::CustomMetric if !column.requested => {
            return Builder::Constant;
        }
        ColumnOrigin::GroupBy | ColumnOrigin::Metric | ColumnOrigin::CustomMetric => {}
    }
    match column.column_type {
        ColumnType::String => Builder::Text(StringBuilder::new()),
        ColumnType::Number => Builder::Float(Float64Builder::new()),
        ColumnType::Integer => Builder::Integer(Int64Builder::new()),
        ColumnType::Boolean => Builder::Boolean(BooleanBuilder::new()),
        ColumnType::Date => Builder::Date(Date32Builder::new()),
        ColumnType::Timestamp => Builder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
        ColumnType::Decimal { .. } => {
            Builder::Decimal(Decimal128Builder::new().with_data_type(arrow_type(column.column_type)))
        }
    }
}
