//! The values of one record while it is judged: nothing reaches a builder before all have passed.

use std::ops::Range;

use crate::vocabulary::json::{LoneSurrogate, append_decoded};

/// A value, or where its text is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell {
    /// Absent or null.
    #[default]
    Empty,
    Boolean(bool),
    Integer(i64),
    Float(f64),
    Decimal(i128),
    Timestamp(i64),
    Date(i32),
    /// Text without escapes: a range of the record.
    Text(Range<usize>),
    /// Text that had escapes: a range of [`Cells::unescaped`].
    Unescaped(Range<usize>),
}

/// One cell a column, used again for each record.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    unescaped: String,
}

impl Cells {
    pub(super) fn clear(&mut self, columns: usize) {
        self.cells.resize(columns, Cell::Empty);
        self.cells.fill(Cell::Empty);
        self.unescaped.clear();
    }

    pub(super) fn set(&mut self, column: usize, cell: Cell) {
        self.cells[column] = cell;
    }

    /// The cells of all columns, in their order.
    pub(super) fn all(&self) -> &[Cell] {
        &self.cells
    }

    pub(super) fn get(&self, column: usize) -> &Cell {
        &self.cells[column]
    }

    /// Keeps what a text with escapes means, given what stands between its quotes; its range in
    /// [`Cells::unescaped`].
    pub(super) fn unescape(&mut self, raw: &str) -> Result<Range<usize>, LoneSurrogate> {
        let start = self.unescaped.len();
        append_decoded(&mut self.unescaped, raw)?;
        Ok(start..self.unescaped.len())
    }

    /// All texts that had escapes.
    pub(super) fn unescaped(&self) -> &str {
        &self.unescaped
    }

    /// The text of a cell that holds one.
    pub(super) fn text<'a>(&'a self, column: usize, record: &'a str) -> Option<&'a str> {
        match &self.cells[column] {
            Cell::Text(range) => record.get(range.clone()),
            Cell::Unescaped(range) => self.unescaped.get(range.clone()),
            _ => None,
        }
    }
}
