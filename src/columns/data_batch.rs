//! Accepted rows on their way into a batch; exact types only.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, RecordBatch, StringBuilder, new_null_array};
use arrow::error::ArrowError;

use super::cells::{Cell, Cells};
use super::column_buffer::ColumnBuffer;
use super::plan::{DecodePlan, PlannedColumn};
use super::sums::Sum;
use crate::registry::{ColumnOrigin, arrow_type};

/// Where a column's values come from.
#[derive(Debug)]
pub(super) enum RowColumn {
    /// From a key of each record.
    Sent(ColumnBuffer),
    /// The keys that nobody asked for.
    Unmapped,
    /// One value for all rows, known when the batch is finished.
    Constant,
}

impl RowColumn {
    /// As [`ColumnBuffer::last`].
    pub(super) fn last(&self) -> Cell {
        match self {
            Self::Sent(buffer) => buffer.last(),
            Self::Unmapped | Self::Constant => Cell::Empty,
        }
    }

    /// As [`ColumnBuffer::last_text`].
    pub(super) fn last_text(&self) -> Option<&[u8]> {
        match self {
            Self::Sent(buffer) => buffer.last_text(),
            Self::Unmapped | Self::Constant => None,
        }
    }
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
    columns: Vec<RowColumn>,
    /// `_unmapped` of the few rows that have it.
    unmapped: Vec<(usize, String)>,
    rows: usize,
    bytes: usize,
    constants: Constants,
}

impl DataBatch {
    pub(super) fn new(plan: &DecodePlan, report_date: i32) -> Self {
        let schema_version = i32::try_from(plan.registry_version).unwrap_or(i32::MAX);
        Self {
            columns: plan.columns.iter().map(row_column).collect(),
            unmapped: Vec::new(),
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
    pub(super) fn append(&mut self, cells: &Cells, record: &str, unmapped: Option<String>) {
        for (column, cell) in self.columns.iter_mut().zip(cells.all()) {
            if let RowColumn::Sent(buffer) = column {
                buffer.push(cell, cells, record);
            }
        }
        self.unmapped.extend(unmapped.map(|text| (self.rows, text)));
        self.keep_row(record.len());
    }

    pub(super) fn columns(&self) -> &[RowColumn] {
        &self.columns
    }

    /// The columns, for a row that is kept or taken back once it is whole.
    pub(super) fn columns_mut(&mut self) -> &mut [RowColumn] {
        &mut self.columns
    }

    /// Keeps a row that was added to the columns, of a record of so many bytes.
    pub(super) fn keep_row(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }

    /// Removes a row that was kept, of a record of so many bytes; neither it nor any after it has an `_unmapped`.
    pub(super) fn remove_row(&mut self, row: usize, bytes: usize) {
        debug_assert!(self.unmapped.last().is_none_or(|(last, _)| *last < row));
        for column in &mut self.columns {
            if let RowColumn::Sent(buffer) = column {
                buffer.remove(row);
            }
        }
        self.rows -= 1;
        self.bytes -= bytes;
    }

    /// Takes back what was added to the columns and not kept.
    pub(super) fn take_back_row(&mut self) {
        for column in &mut self.columns {
            if let RowColumn::Sent(buffer) = column {
                buffer.truncate(self.rows);
            }
        }
    }

    /// The rows so far as a batch, added to the sums of their columns; the columns begin anew.
    pub(super) fn finish(&mut self, plan: &DecodePlan, sums: &mut [(u64, Sum)]) -> Result<RecordBatch, ArrowError> {
        let (rows, constants) = (std::mem::take(&mut self.rows), self.constants);
        self.bytes = 0;
        let mut unmapped = Some(std::mem::take(&mut self.unmapped));
        let columns = self.columns.iter_mut().zip(&plan.columns).zip(sums);
        let arrays: Result<Vec<ArrayRef>, ArrowError> = columns
            .map(|((values, column), sum)| match values {
                RowColumn::Sent(buffer) => {
                    buffer.add_to(sum);
                    buffer.finish()
                }
                RowColumn::Unmapped => Ok(sparse_texts(unmapped.take().unwrap_or_default(), rows)),
                RowColumn::Constant => Ok(constants.column(column, rows)),
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&plan.schema), arrays?)
    }
}

impl Constants {
    fn column(self, column: &PlannedColumn, rows: usize) -> ArrayRef {
        match column.origin {
            ColumnOrigin::ReportDate => Arc::new(Date32Array::from_value(self.report_date, rows)),
            ColumnOrigin::SchemaVersion => Arc::new(Int32Array::from_value(self.schema_version, rows)),
            _ => new_null_array(&arrow_type(column.column_type), rows),
        }
    }
}

/// A column of few texts, each with its row, in the order of the rows.
fn sparse_texts(texts: Vec<(usize, String)>, rows: usize) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(rows, texts.iter().map(|(_, text)| text.len()).sum());
    let mut texts = texts.into_iter().peekable();
    for row in 0..rows {
        column.append_option(texts.next_if(|(of, _)| *of == row).map(|(_, text)| text));
    }
    Arc::new(column.finish())
}

fn row_column(column: &PlannedColumn) -> RowColumn {
    match column.origin {
        _ if column.is_filled() => RowColumn::Sent(ColumnBuffer::new(column.column_type)),
        ColumnOrigin::Unmapped => RowColumn::Unmapped,
        _ => RowColumn::Constant,
    }
}
