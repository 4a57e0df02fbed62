//! Records as nearly all are, straight into columns: known keys, each once, and every value within its rules. What is
//! wrong with any other is the judge's to say ([`super::record`]).

use std::ops::Range;

use super::cells::{Cell, Cells};
use super::column_buffer::{ColumnBuffer, Values};
use super::data_batch::{DataBatch, RowColumn};
use super::key_order::{KeyOrder, Level, Member};
use super::key_text::write_key;
use super::moment::usual_timestamp;
use super::plan::{DecodePlan, PlannedColumn};
use super::rules::{Broken, SentValue};
use crate::settings::limits::RECORD_KEYS;
use crate::vocabulary::ShortNumber;
use crate::vocabulary::json::{Walk, append_decoded};

/// Reads records; what it needs for one is used again for the next.
#[derive(Debug, Default)]
pub(super) struct DirectRow {
    order: KeyOrder,
    /// For each column the number of the record that last had it.
    seen_in: Vec<u64>,
    record_number: u64,
    cells: Cells,
    broken: Vec<Broken>,
}

/// Where a record's row goes.
struct Row<'a> {
    record: &'a str,
    plan: &'a DecodePlan,
    columns: &'a mut [RowColumn],
    /// The columns that have a value of it.
    filled: usize,
}

impl DirectRow {
    /// Adds the row of a record that follows the grammar and is not too deep, whose time must be one of `instants`, in UTC
    /// microseconds. False, and no row, where the record is unusual: it may be one that breaks a rule. The row counts once
    /// it is kept ([`DataBatch::keep_row`]).
    pub(super) fn append(
        &mut self,
        record: &str,
        plan: &DecodePlan,
        instants: &Range<i64>,
        data: &mut DataBatch,
    ) -> bool {
        // Each key fills a column here: no record of another plan can have too many.
        if plan.columns.len() >= RECORD_KEYS {
            return false;
        }
        self.order.begin(plan);
        self.seen_in.resize(plan.columns.len(), 0);
        self.record_number += 1;
        let mut row = Row { record, plan, columns: data.columns_mut(), filled: 0 };
        let appended = self.read_record(&mut row).is_some() && self.end(&mut row, instants).is_some();
        if !appended {
            data.take_back_row();
        }
        appended
    }

    fn read_record(&mut self, row: &mut Row<'_>) -> Option<()> {
        let mut walk = Walk::object(row.record.as_bytes(), 0).ok()?;
        self.read_members(&mut walk, Level::Top, row)?;
        // A walk that ends early, whatever the reason, has not seen all of the record.
        (walk.position() == row.record.len()).then_some(())
    }

    fn read_members(&mut self, walk: &mut Walk<'_>, level: Level, row: &mut Row<'_>) -> Option<()> {
        let mut previous = level.beginning(row.plan);
        let mut has_custom = false;
        while let Some((_, member)) = self.order.next_member(row.record, walk, &mut previous, level, row.plan) {
            match member {
                Member::Column(column) => self.read_value(walk, column, row)?,
                Member::CustomMetrics if !has_custom => {
                    has_custom = true;
                    let mut custom = Walk::object(row.record.as_bytes(), walk.position()).ok()?;
                    self.read_members(&mut custom, Level::Custom, row)?;
                    walk.go_on(custom.position());
                }
                Member::CustomMetrics | Member::Unknown => return None,
            }
        }
        Some(())
    }

    #[inline]
    fn read_value(&mut self, walk: &mut Walk<'_>, column: usize, row: &mut Row<'_>) -> Option<()> {
        let planned = &row.plan.columns[column];
        let Some(RowColumn::Sent(buffer)) = row.columns.get_mut(column) else { return None };
        if std::mem::replace(&mut self.seen_in[column], self.record_number) == self.record_number {
            return None;
        }
        row.filled += 1;
        let Some(end) = self.read_common(row.record, walk.position(), planned, buffer) else {
            return self.read_any(walk, planned, buffer, row.record);
        };
        walk.go_on(end);
        self.is_unbroken()
    }

    /// Adds a value as most are; its end. `None` for any other: [`Self::read_any`] tells whether it breaks a rule.
    #[inline]
    fn read_common(
        &mut self,
        record: &str,
        at: usize,
        planned: &PlannedColumn,
        buffer: &mut ColumnBuffer,
    ) -> Option<usize> {
        let (bytes, rules) = (record.as_bytes(), &planned.rules);
        match (bytes.get(at)?, &mut buffer.values) {
            (b'n', _) if !planned.required => {
                buffer.push_null();
                Some(at + "null".len())
            }
            _ if rules.has_further() => None,
            (b'"', Values::Text(texts)) => {
                let closing_quote = at + 1 + append_decoded(&mut texts.all, &record[at + 1..]).ok()?;
                rules.check_text(texts.open(), &mut self.broken);
                texts.end();
                Some(closing_quote + 1)
            }
            (b'-' | b'0'..=b'9', Values::Float(values)) => {
                push_short(values, bytes, at, |number| rules.short_float(number))
            }
            (b'-' | b'0'..=b'9', Values::Integer(values)) => {
                push_short(values, bytes, at, |number| rules.short_integer(number))
            }
            (b'"', Values::Timestamp(values)) => {
                let (micros, length) = usual_timestamp(&bytes[at + 1..])?;
                let closing_quote = at + 1 + length;
                // Any other text may be a timestamp all the same.
                if bytes.get(closing_quote) != Some(&b'"') {
                    return None;
                }
                rules.check_text(&record[at + 1..closing_quote], &mut self.broken);
                values.push(micros);
                Some(closing_quote + 1)
            }
            _ => None,
        }
    }

    /// Adds a value of whatever kind, by the judge's own rules.
    fn read_any(
        &mut self,
        walk: &mut Walk<'_>,
        planned: &PlannedColumn,
        buffer: &mut ColumnBuffer,
        record: &str,
    ) -> Option<()> {
        let value = walk.value().ok()?;
        let (start, is_plain) = (value.range.start, value.is_plain);
        let sent = SentValue { raw: record.get(value.range)?, start, is_plain };
        self.cells.clear(0);
        let cell = planned.rules.read(sent, &mut self.cells, &mut self.broken);
        self.is_unbroken()?;
        buffer.push(&cell, &self.cells, record);
        Some(())
    }

    /// What the record lacks, and the rules beside those of single values.
    fn end(&self, row: &mut Row<'_>, instants: &Range<i64>) -> Option<()> {
        if row.plan.filled != Some(row.filled) {
            for ((column, planned), seen_in) in row.columns.iter_mut().zip(&row.plan.columns).zip(&self.seen_in) {
                match column {
                    _ if *seen_in == self.record_number => {}
                    _ if planned.required => return None,
                    RowColumn::Sent(buffer) => buffer.push_null(),
                    RowColumn::Unmapped | RowColumn::Constant => {}
                }
            }
        }
        match row.plan.time_column.map(|column| row.columns[column].last()) {
            Some(Cell::Timestamp(micros)) => instants.contains(&micros).then_some(()),
            _ => Some(()),
        }
    }

    fn is_unbroken(&mut self) -> Option<()> {
        let unbroken = self.broken.is_empty();
        self.broken.clear();
        unbroken.then_some(())
    }
}

/// Adds the number at `at`, where the fast way can tell that it breaks nothing; its end.
#[inline]
fn push_short<T>(
    values: &mut Vec<T>,
    bytes: &[u8],
    at: usize,
    keep: impl Fn(ShortNumber) -> Option<T>,
) -> Option<usize> {
    let (number, end) = ShortNumber::at(bytes, at)?;
    values.push(keep(number)?);
    Some(end)
}

/// The last row's key, as [`write_key`] has it.
pub(super) fn read_last_key(plan: &DecodePlan, data: &DataBatch, into: &mut String) {
    let columns = data.columns();
    write_key(&plan.key, |column| (columns[column].last(), columns[column].last_text()), into);
}
