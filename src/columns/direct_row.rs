//! Records as nearly all are, straight into columns: known keys, each once, and every value within its rules. What is
//! wrong with any other is the judge's to say ([`super::record`]).

use std::ops::Range;

use super::cells::{Cell, Cells};
use super::column_buffer::{ColumnBuffer, Values};
use super::data_batch::{DataBatch, RowColumn};
use super::key_order::{KeyOrder, Level, Member, member};
use super::key_text::write_key;
use super::moment::LastDate;
use super::plan::{DecodePlan, PlannedColumn};
use super::record::RecordText;
use super::rules::{Broken, SentValue, ValueRules};
use super::seen_columns::SeenColumns;
use crate::settings::limits::RECORD_KEYS;
use crate::vocabulary::ShortNumber;
use crate::vocabulary::json::{Walk, append_decoded, plain_run, skip_whitespace};

/// Reads records; what it needs for one is used again for the next.
#[derive(Debug, Default)]
pub(super) struct DirectRow {
    order: KeyOrder,
    seen: SeenColumns,
    last_date: LastDate,
    cells: Cells,
    unescaped: String,
    broken: Vec<Broken>,
}

/// Where a record's row goes.
struct Row<'a> {
    /// A text that begins with the record.
    text: &'a str,
    plan: &'a DecodePlan,
    columns: &'a mut [RowColumn],
    number: usize,
    /// The columns that have a value of it.
    filled: usize,
}

impl DirectRow {
    /// Adds the row of a record that follows the grammar and is not too deep, whose time must be one of `instants`, in UTC
    /// microseconds. False, and no row, where the record is unusual: it may be one that breaks a rule. The row counts once
    /// it is kept ([`DataBatch::keep_row`]).
    pub(super) fn append(
        &mut self,
        record: RecordText<'_>,
        plan: &DecodePlan,
        instants: &Range<i64>,
        data: &mut DataBatch,
    ) -> bool {
        let Some(text) = record.onwards.filter(|text| text.starts_with('{')) else { return false };
        // Each key fills a column here: no record of another plan can have too many.
        if plan.columns.len() >= RECORD_KEYS {
            return false;
        }
        self.order.begin(plan);
        self.seen.begin(plan.columns.len());
        let number = data.rows();
        let mut row = Row { text, plan, columns: data.columns_mut(), number, filled: 0 };
        // A walk that ends elsewhere, whatever the reason, has not seen all of the record.
        let is_whole = self.read_members(0, Level::Top, &mut row) == Some(record.bytes.len());
        let appended = is_whole && self.end(&mut row, instants).is_some();
        if !appended {
            data.take_back_row();
        }
        appended
    }

    /// Past the object whose brace stands at `at`.
    fn read_members(&mut self, mut at: usize, level: Level, row: &mut Row<'_>) -> Option<usize> {
        let (bytes, keys) = (row.text.as_bytes(), level.keys(row.plan));
        let mut previous = level.beginning(row.plan);
        let (mut separator, mut has_custom) = (b'{', false);
        loop {
            let usual = match bytes.get(at) {
                Some(byte) if *byte == separator => self.order.usual_member(bytes, at, previous, keys),
                Some(b'}') => return Some(at + 1),
                _ => None,
            };
            let (member, value) = match usual {
                Some((column, value)) => {
                    previous = column;
                    (member(column, row.plan), value)
                }
                None => {
                    let is_first = separator == b'{';
                    let mut walk = Walk::within_object(bytes, at + usize::from(is_first), is_first);
                    match self.order.any_member(row.text, &mut walk, &mut previous, level, row.plan) {
                        Some(member) => (member, walk.position()),
                        None => return Some(walk.position()),
                    }
                }
            };
            separator = b',';
            let value = skip_whitespace(bytes, value);
            at = match member {
                Member::Column(column) => self.read_value(value, column, row)?,
                Member::CustomMetrics if !has_custom && bytes.get(value) == Some(&b'{') => {
                    has_custom = true;
                    self.read_members(value, Level::Custom, row)?
                }
                Member::CustomMetrics | Member::Unknown(_) => return None,
            };
        }
    }

    #[inline(always)]
    fn read_value(&mut self, at: usize, column: usize, row: &mut Row<'_>) -> Option<usize> {
        let planned = &row.plan.columns[column];
        let Some(RowColumn::Sent(buffer)) = row.columns.get_mut(column) else { return None };
        if !self.seen.insert(column) {
            return None;
        }
        row.filled += 1;
        match self.read_common(row.text, at, planned, buffer, row.number) {
            Some(end) => Some(end),
            None if self.broken.is_empty() => self.read_any(row.text, at, planned, buffer),
            None => {
                self.broken.clear();
                None
            }
        }
    }

    /// Adds a value as most are, to a buffer of so many rows; its end. `None` for any other: it breaks what is in `broken`, or
    /// [`Self::read_any`] tells whether it breaks a rule.
    #[inline(always)]
    fn read_common(
        &mut self,
        text: &str,
        at: usize,
        planned: &PlannedColumn,
        buffer: &mut ColumnBuffer,
        rows: usize,
    ) -> Option<usize> {
        let (bytes, rules) = (text.as_bytes(), &planned.rules);
        match (bytes.get(at)?, &mut buffer.values) {
            (b'n', _) if !planned.required => {
                buffer.push_null(rows);
                Some(at + "null".len())
            }
            _ if rules.has_further() => None,
            (b'"', Values::Text(texts)) => {
                let (start, length) = (at + 1, plain_run(&bytes[at + 1..]));
                if bytes.get(start + length) != Some(&b'"') {
                    let (text, end) = unescape(text, start, &mut self.unescaped)?;
                    check_text(text, rules, &mut self.broken)?;
                    texts.all.extend_from_slice(text.as_bytes());
                    texts.end();
                    return Some(end);
                }
                check_plain(text, start..start + length, rules, &mut self.broken)?;
                texts.all.extend_from_slice(&bytes[start..start + length]);
                texts.end();
                Some(start + length + 1)
            }
            (b'-' | b'0'..=b'9', Values::Float(values)) => push_short(values, bytes, at, |number, end| {
                rules.short_float(number).or_else(|| rules.shortest_float(number, &text[at..end]))
            }),
            (b'-' | b'0'..=b'9', Values::Integer(values)) => {
                push_short(values, bytes, at, |number, _| rules.short_integer(number))
            }
            (b't', Values::Boolean(values)) if rules.allow_any_boolean() => {
                values.push(true);
                Some(at + "true".len())
            }
            (b'f', Values::Boolean(values)) if rules.allow_any_boolean() => {
                values.push(false);
                Some(at + "false".len())
            }
            (b'"', Values::Timestamp(values)) => {
                let (micros, length) = self.last_date.usual_timestamp(&bytes[at + 1..])?;
                let closing_quote = at + 1 + length;
                // Any other text may be a timestamp all the same.
                if bytes.get(closing_quote) != Some(&b'"') {
                    return None;
                }
                check_plain(text, at + 1..closing_quote, rules, &mut self.broken)?;
                values.push(micros);
                Some(closing_quote + 1)
            }
            _ => None,
        }
    }

    /// Adds a value of whatever kind, by the judge's own rules; its end.
    #[inline(never)]
    fn read_any(&mut self, text: &str, at: usize, planned: &PlannedColumn, buffer: &mut ColumnBuffer) -> Option<usize> {
        let mut walk = Walk::within_object(text.as_bytes(), at, false);
        let value = walk.value().ok()?;
        let (start, is_plain) = (value.range.start, value.is_plain);
        let sent = SentValue { raw: text.get(value.range)?, start, is_plain };
        self.cells.clear(0);
        let cell = planned.rules.read(sent, &mut self.cells, &mut self.broken);
        if !self.broken.is_empty() {
            self.broken.clear();
            return None;
        }
        buffer.push(&cell, &self.cells, text);
        Some(walk.position())
    }

    /// What the record lacks, and the rules beside those of single values.
    fn end(&self, row: &mut Row<'_>, instants: &Range<i64>) -> Option<()> {
        if row.plan.filled != Some(row.filled) {
            for ((column, planned), is_seen) in row.columns.iter_mut().zip(&row.plan.columns).zip(self.seen.each()) {
                match column {
                    _ if is_seen => {}
                    _ if planned.required => return None,
                    RowColumn::Sent(buffer) => buffer.push_null(row.number),
                    RowColumn::Unmapped | RowColumn::Constant => {}
                }
            }
        }
        match row.plan.time_column.map(|column| row.columns[column].last()) {
            Some(Cell::Timestamp(micros)) => instants.contains(&micros).then_some(()),
            _ => Some(()),
        }
    }
}

/// What the string with escapes means whose text begins at `start`, and where it ends.
fn unescape<'a>(text: &str, start: usize, unescaped: &'a mut String) -> Option<(&'a str, usize)> {
    unescaped.clear();
    let length = append_decoded(unescaped, &text[start..]).ok()?;
    Some((unescaped, start + length + 1))
}

/// Holds a text, of which this is the part between the quotes, against its rules. `None` where it breaks one.
#[inline(always)]
fn check_plain(text: &str, range: Range<usize>, rules: &ValueRules, broken: &mut Vec<Broken>) -> Option<()> {
    if rules.allow_any_text(range.len()) { Some(()) } else { check_text(&text[range], rules, broken) }
}

#[inline(never)]
fn check_text(text: &str, rules: &ValueRules, broken: &mut Vec<Broken>) -> Option<()> {
    rules.check_text(text, broken);
    broken.is_empty().then_some(())
}

/// Adds the number at `at`, where the fast way can tell that it breaks nothing; its end.
#[inline(always)]
fn push_short<T>(
    values: &mut Vec<T>,
    bytes: &[u8],
    at: usize,
    keep: impl Fn(ShortNumber, usize) -> Option<T>,
) -> Option<usize> {
    let (number, end) = ShortNumber::at(bytes, at)?;
    values.push(keep(number, end)?);
    Some(end)
}

/// The last row's key, as [`write_key`] has it. `scratch` holds it where it is not just a text.
pub(super) fn read_last_key<'a>(plan: &DecodePlan, data: &'a DataBatch, scratch: &'a mut String) -> &'a [u8] {
    let columns = data.columns();
    if let [column] = *plan.key
        && let Some(text) = columns[column].last_text()
    {
        return text;
    }
    let text = |column: usize| columns[column].last_text().and_then(|text| std::str::from_utf8(text).ok());
    write_key(&plan.key, |column| (columns[column].last(), text(column)), scratch);
    scratch.as_bytes()
}
