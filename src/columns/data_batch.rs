//! Accepted rows, one Arrow builder a column; exact types only.

use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BooleanBuilder, Date32Array, Date32Builder, Decimal128Builder,
    Float64Builder, Int32Array, Int64Builder, PrimitiveBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, new_null_array,
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
    /// The keys that nobody asked for, which are in no cell.
    Unmapped(StringBuilder),
    /// One value for all rows, known when the batch is finished.
    Constant,
}

impl Builder {
    fn append(&mut self, cell: &Cell, cells: &Cells, record: &str) {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(range)) => builder.append_value(&record[range.clone()]),
            (Self::Text(builder), Cell::Unescaped(range)) => builder.append_value(&cells.unescaped()[range.clone()]),
            (Self::Float(builder), Cell::Float(value)) => builder.append_value(*value),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Self::Decimal(builder), Cell::Decimal(value)) => builder.append_value(*value),
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(*value),
            (Self::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(*value),
            (Self::Date(builder), Cell::Date(value)) => builder.append_value(*value),
            (builder, _) => builder.append_null(),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) | Self::Unmapped(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Constant => {}
        }
    }

    /// The column of the rows so far; the builder begins anew. The next batch is like this one: room for
    /// it at once spares copies while it grows.
    fn finish(&mut self, column: &PlannedColumn, rows: usize, constants: Constants) -> ArrayRef {
        match self {
            Self::Text(builder) | Self::Unmapped(builder) => {
                let next = StringBuilder::with_capacity(rows, builder.values_slice().len());
                Arc::new(std::mem::replace(builder, next).finish())
            }
            Self::Float(builder) => finish_primitive(builder, rows),
            Self::Integer(builder) => finish_primitive(builder, rows),
            Self::Decimal(builder) => finish_primitive(builder, rows),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => finish_primitive(builder, rows),
            Self::Date(builder) => finish_primitive(builder, rows),
            Self::Constant => match column.origin {
                ColumnOrigin::ReportDate => Arc::new(Date32Array::from_value(constants.report_date, rows)),
                ColumnOrigin::SchemaVersion => Arc::new(Int32Array::from_value(constants.schema_version, rows)),
                _ => new_null_array(&arrow_type(column.column_type), rows),
            },
        }
    }
}

fn finish_primitive<T: ArrowPrimitiveType>(builder: &mut PrimitiveBuilder<T>, rows: usize) -> ArrayRef {
    let array = builder.finish();
    *builder = PrimitiveBuilder::with_capacity(rows).with_data_type(array.data_type().clone());
    Arc::new(array)
}

/// What all rows of a window have.
#[derive(Clone, Copy, Debug)]
struct Constants {
    report_date: i32,
    schema_version: i32,
}

/// Rows on their way into a batch.
#[derive(Debug)]
pub(super) struct DataBatch {
    builders: Vec<Builder>,
    rows: usize,
    bytes: usize,
    constants: Constants,
}

impl DataBatch {
    pub(super) fn new(plan: &DecodePlan, report_date: i32) -> Self {
        let schema_version = i32::try_from(plan.registry_version).unwrap_or(i32::MAX);
        Self {
            builders: plan.columns.iter().map(builder).collect(),
            rows: 0,
            bytes: 0,
            constants: Constants { report_date, schema_version },
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
    pub(super) fn append(&mut self, cells: &Cells, record: &str, unmapped: Option<&str>) {
        for (builder, cell) in self.builders.iter_mut().zip(cells.all()) {
            match builder {
                Builder::Unmapped(builder) => builder.append_option(unmapped),
                builder => builder.append(cell, cells, record),
            }
        }
        self.rows += 1;
        self.bytes += record.len();
    }

    /// The rows so far as a batch; the builders begin anew.
    pub(super) fn finish(&mut self, plan: &DecodePlan) -> Result<RecordBatch, ArrowError> {
        let (rows, constants) = (std::mem::take(&mut self.rows), self.constants);
        self.bytes = 0;
        let columns = self.builders.iter_mut().zip(&plan.columns);
        let arrays = columns.map(|(builder, column)| builder.finish(column, rows, constants)).collect();
        RecordBatch::try_new(Arc::clone(&plan.schema), arrays)
    }
}

fn builder(column: &PlannedColumn) -> Builder {
    match column.origin {
        ColumnOrigin::ReportDate | ColumnOrigin::SchemaVersion => return Builder::Constant,
        ColumnOrigin::Unmapped => return Builder::Unmapped(StringBuilder::new()),
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
