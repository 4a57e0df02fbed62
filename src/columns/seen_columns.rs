//! Which columns a record has filled so far.

/// Told for one record after the other, and none of it is cleared in between.
#[derive(Debug, Default)]
pub(super) struct SeenColumns {
    /// For each column the number of the record that last had it.
    seen_in: Vec<u64>,
    record_number: u64,
}

impl SeenColumns {
    /// The next record begins; it has filled none of so many columns.
    pub(super) fn begin(&mut self, columns: usize) {
        self.seen_in.resize(columns, 0);
        self.record_number += 1;
    }

    /// Notes that the record has a column; false where it had it before.
    #[inline]
    pub(super) fn insert(&mut self, column: usize) -> bool {
        std::mem::replace(&mut self.seen_in[column], self.record_number) != self.record_number
    }

    /// For each column whether the record has it.
    pub(super) fn each(&self) -> impl Iterator<Item = bool> {
        self.seen_in.iter().map(|seen_in| *seen_in == self.record_number)
    }

    /// Whether the record has a column.
    pub(super) fn contains(&self, column: usize) -> bool {
        self.seen_in[column] == self.record_number
    }
}
