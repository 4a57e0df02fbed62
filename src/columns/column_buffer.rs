//! The values of one column on their way into a batch; rows can be taken back.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, PrimitiveArray, StringArray, StringBuilder,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowNativeType as _, DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow::error::ArrowError;
use simdutf8::basic::from_utf8;

use super::cells::{Cell, Cells};
use super::sums::Sum;
use crate::registry::arrow_type;
use crate::vocabulary::ColumnType;

#[derive(Debug)]
pub(super) struct ColumnBuffer {
    pub(super) values: Values,
    /// The rows that have no value; `values` holds something in its place.
    nulls: Vec<usize>,
    data_type: DataType,
}

/// One value a row.
#[derive(Debug)]
pub(super) enum Values {
    Text(Texts),
    Float(Vec<f64>),
    Integer(Vec<i64>),
    Decimal(Vec<i128>),
    Boolean(Vec<bool>),
    /// UTC microseconds.
    Timestamp(Vec<i64>),
    /// Days since 1970-01-01.
    Date(Vec<i32>),
}

/// Texts one after the other.
#[derive(Debug)]
pub(super) struct Texts {
    /// All of them, and at the end what [`Texts::end`] will make a text.
    pub(super) all: Vec<u8>,
    /// Where each begins, and at last where the last one ends.
    offsets: Vec<i32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { all: Vec::new(), offsets: vec![0] }
    }
}

impl Texts {
    fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Where a row begins.
    fn start(&self, row: usize) -> usize {
        self.offsets.get(row).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default()
    }

    fn last_end(&self) -> usize {
        self.start(self.rows())
    }

    /// Makes a text of what was appended to [`Texts::all`] since the last one.
    #[inline]
    pub(super) fn end(&mut self) {
        // Of more text than offsets reach, no batch is made.
        self.offsets.push(i32::try_from(self.all.len()).unwrap_or(i32::MAX));
    }

    fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        self.all.truncate(self.last_end());
    }

    fn remove(&mut self, row: usize) {
        self.all.drain(self.start(row)..self.start(row + 1));
        let removed = self.offsets[row + 1] - self.offsets.remove(row);
        self.offsets[row..].iter_mut().for_each(|later| *later -= removed);
    }

    fn last(&self) -> Option<&[u8]> {
        let row = self.rows().checked_sub(1)?;
        self.all.get(self.start(row)..self.start(row + 1))
    }

    /// The next batch is like this one: room for it at once spares copies while it grows.
    fn finish(&mut self, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let all = std::mem::take(&mut self.all);
        if i32::try_from(all.len()).is_err() {
            return Err(ArrowError::OffsetOverflowError(all.len()));
        }
        self.all.reserve_exact(all.len());
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let offsets = std::mem::replace(&mut self.offsets, offsets);
        Ok(Arc::new(string_array(offsets, all, nulls)?))
    }
}

impl ColumnBuffer {
    pub(super) fn new(column_type: ColumnType) -> Self {
        let values = match column_type {
            ColumnType::String => Values::Text(Texts::default()),
            ColumnType::Number => Values::Float(Vec::new()),
            ColumnType::Integer => Values::Integer(Vec::new()),
            ColumnType::Decimal { .. } => Values::Decimal(Vec::new()),
            ColumnType::Boolean => Values::Boolean(Vec::new()),
            ColumnType::Timestamp => Values::Timestamp(Vec::new()),
            ColumnType::Date => Values::Date(Vec::new()),
        };
        Self { values, nulls: Vec::new(), data_type: arrow_type(column_type) }
    }

    #[inline]
    pub(super) fn rows(&self) -> usize {
        match &self.values {
            Values::Text(texts) => texts.rows(),
            Values::Float(values) => values.len(),
            Values::Integer(values) | Values::Timestamp(values) => values.len(),
            Values::Decimal(values) => values.len(),
            Values::Boolean(values) => values.len(),
            Values::Date(values) => values.len(),
        }
    }

    /// Adds what a cell holds; a cell of another type is none of this column's, and no value. `record` is the
    /// text that the cells' ranges refer to.
    pub(super) fn push(&mut self, cell: &Cell, cells: &Cells, record: &str) {
        match (&mut self.values, cell) {
            (Values::Text(texts), Cell::Text(range)) => {
                texts.all.extend_from_slice(record[range.clone()].as_bytes());
                texts.end();
            }
            (Values::Text(texts), Cell::Unescaped(range)) => {
                texts.all.extend_from_slice(cells.unescaped()[range.clone()].as_bytes());
                texts.end();
            }
            (Values::Float(values), Cell::Float(value)) => values.push(*value),
            (Values::Integer(values), Cell::Integer(value)) => values.push(*value),
            (Values::Decimal(values), Cell::Decimal(value)) => values.push(*value),
            (Values::Boolean(values), Cell::Boolean(value)) => values.push(*value),
            (Values::Timestamp(values), Cell::Timestamp(value)) => values.push(*value),
            (Values::Date(values), Cell::Date(value)) => values.push(*value),
            _ => self.push_null(self.rows()),
        }
    }

    /// Adds no value, as this row.
    #[inline]
    pub(super) fn push_null(&mut self, row: usize) {
        self.nulls.push(row);
        match &mut self.values {
            Values::Text(texts) => texts.end(),
            Values::Float(values) => values.push(0.0),
            Values::Integer(values) | Values::Timestamp(values) => values.push(0),
            Values::Decimal(values) => values.push(0),
            Values::Boolean(values) => values.push(false),
            Values::Date(values) => values.push(0),
        }
    }

    /// Takes back all rows after the first so many.
    pub(super) fn truncate(&mut self, rows: usize) {
        while self.nulls.last().is_some_and(|null| *null >= rows) {
            self.nulls.pop();
        }
        match &mut self.values {
            Values::Text(texts) => texts.truncate(rows),
            Values::Float(values) => values.truncate(rows),
            Values::Integer(values) | Values::Timestamp(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Date(values) => values.truncate(rows),
        }
    }

    /// Removes one row; those after it move up.
    pub(super) fn remove(&mut self, row: usize) {
        let at = self.nulls.partition_point(|null| *null < row);
        if self.nulls.get(at) == Some(&row) {
            self.nulls.remove(at);
        }
        self.nulls[at..].iter_mut().for_each(|later| *later -= 1);
        match &mut self.values {
            Values::Text(texts) => texts.remove(row),
            Values::Float(values) => _ = values.remove(row),
            Values::Integer(values) | Values::Timestamp(values) => _ = values.remove(row),
            Values::Decimal(values) => _ = values.remove(row),
            Values::Boolean(values) => _ = values.remove(row),
            Values::Date(values) => _ = values.remove(row),
        }
    }

    fn ends_with_null(&self) -> bool {
        self.nulls.last().is_some_and(|null| null + 1 == self.rows())
    }

    /// The value of the last row; [`Cell::Empty`] for a text.
    pub(super) fn last(&self) -> Cell {
        let last = match &self.values {
            _ if self.ends_with_null() => None,
            Values::Text(_) => None,
            Values::Float(values) => values.last().copied().map(Cell::Float),
            Values::Integer(values) => values.last().copied().map(Cell::Integer),
            Values::Decimal(values) => values.last().copied().map(Cell::Decimal),
            Values::Boolean(values) => values.last().copied().map(Cell::Boolean),
            Values::Timestamp(values) => values.last().copied().map(Cell::Timestamp),
            Values::Date(values) => values.last().copied().map(Cell::Date),
        };
        last.unwrap_or_default()
    }

    /// The text of the last row.
    pub(super) fn last_text(&self) -> Option<&[u8]> {
        match &self.values {
            Values::Text(texts) if !self.ends_with_null() => texts.last(),
            _ => None,
        }
    }

    /// Adds the rows to a count of values and their sum.
    pub(super) fn add_to(&self, values_and_sum: &mut (u64, Sum)) {
        let (values, sum) = values_and_sum;
        // What stands for no value is zero, which adds nothing.
        match (&self.values, &mut *sum) {
            (Values::Float(values), Sum::Float { .. }) => sum.add_floats(values),
            (Values::Integer(values), Sum::Exact { .. }) => {
                sum.add_exact(values.iter().map(|value| i128::from(*value)).sum());
            }
            (Values::Decimal(values), Sum::Exact { .. }) => values.iter().for_each(|value| sum.add_exact(*value)),
            _ => return,
        }
        *values += (self.rows() - self.nulls.len()) as u64;
    }

    /// The rows so far as an array; the buffer begins anew. The next batch is like this one: room for it at
    /// once spares copies while it grows.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let (rows, data_type) = (self.rows(), &self.data_type);
        let nulls = null_buffer(&self.nulls, rows);
        self.nulls.clear();
        match &mut self.values {
            Values::Text(texts) => texts.finish(nulls),
            Values::Float(values) => primitive::<Float64Type>(values, nulls, data_type),
            Values::Integer(values) => primitive::<Int64Type>(values, nulls, data_type),
            Values::Decimal(values) => primitive::<Decimal128Type>(values, nulls, data_type),
            Values::Timestamp(values) => primitive::<TimestampMicrosecondType>(values, nulls, data_type),
            Values::Date(values) => primitive::<Date32Type>(values, nulls, data_type),
            Values::Boolean(values) => {
                let array = BooleanArray::new(BooleanBuffer::from(values.as_slice()), nulls);
                values.clear();
                Ok(Arc::new(array))
            }
        }
    }
}

/// Arrow looks through texts for UTF-8 once more, byte by byte where they are not ASCII: such texts are copied faster.
fn string_array(offsets: Vec<i32>, all: Vec<u8>, nulls: Option<NullBuffer>) -> Result<StringArray, ArrowError> {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let text = if all.is_ascii() { None } else { from_utf8(&all).ok() };
    let Some(text) = text else { return StringArray::try_new(offsets, Buffer::from_vec(all), nulls) };
    let mut texts = StringBuilder::with_capacity(offsets.len(), all.len());
    for (row, range) in offsets.windows(2).enumerate() {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        texts.append_option((!is_null).then(|| &text[range[0].as_usize()..range[1].as_usize()]));
    }
    Ok(texts.finish())
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> Result<ArrayRef, ArrowError> {
    let next = Vec::with_capacity(values.len());
    let values = ScalarBuffer::from(std::mem::replace(values, next));
    Ok(Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?.with_data_type(data_type.clone())))
}

fn null_buffer(nulls: &[usize], rows: usize) -> Option<NullBuffer> {
    if nulls.is_empty() {
        return None;
    }
    let mut valid = BooleanBufferBuilder::new(rows);
    valid.append_n(rows, true);
    nulls.iter().for_each(|row| valid.set_bit(*row, false));
    Some(NullBuffer::new(valid.finish()))
}
