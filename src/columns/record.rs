//! The verdict on one record: every rule of `typing.md` that concerns it alone.

use std::collections::HashSet;
use std::ops::Range;

use super::cells::{Cell, Cells};
use super::key_order::{KeyOrder, Level, Member};
use super::key_text::write_key;
use super::plan::{CUSTOM_METRICS, DecodePlan, UnknownKeys};
use super::rules::{Broken, SentValue};
use super::seen_columns::SeenColumns;
use super::violation::{Rule, Violation, shown_path};
use crate::registry::ColumnOrigin;
use crate::settings::limits::{RECORD_DEPTH, RECORD_KEYS, RECORD_VIOLATIONS};
use crate::vocabulary::json::{self, Field, Value, Walk, array_elements, decode_string, object_fields, pointer_token};
use crate::window::Window;

/// A record, and what is known of it from its page.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordText<'a> {
    pub(super) bytes: &'a [u8],
    /// A text that begins with it, where it is UTF-8.
    pub(super) onwards: Option<&'a str>,
    /// Whether it follows the grammar and nests at most [`RECORD_DEPTH`] levels, for certain.
    pub(super) is_shallow: bool,
}

impl<'a> RecordText<'a> {
    /// The record as text, where it is UTF-8.
    pub(super) fn text(self) -> Option<&'a str> {
        self.onwards?.get(..self.bytes.len())
    }
}

/// Judges records one after the other; what it needs for one is used again for the next.
#[derive(Debug, Default)]
pub(super) struct RecordJudge {
    pub(super) cells: Cells,
    order: KeyOrder,
    seen: SeenColumns,
    violations: Vec<(Rank, Violation)>,
    broken: Vec<Broken>,
    unknown_top: Vec<Field>,
    unknown_custom: Vec<Field>,
}

/// The order of violations: structure first, then columns in their order (contract).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NotObject,
    DuplicateField(Place),
    Container,
    Encoding(Place),
    Column(usize),
    UnknownKey,
}

/// Where in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Top,
    Custom,
    Unknown,
}

impl RecordJudge {
    /// Judges a record. With no violations the cells hold its values.
    pub(super) fn judge(&mut self, record: RecordText<'_>, plan: &DecodePlan, window: &Window) -> Vec<Violation> {
        self.begin(plan);
        match record.text() {
            Some(text) => self.judge_text(text, record.is_shallow, plan, window),
            None => {
                self.note(Rank::Encoding(Place::Top), Violation::new("", Rule::Encoding, "UTF-8", Some(record.bytes)))
            }
        }
        if self.violations.is_empty() {
            return Vec::new();
        }
        self.keep_first_violations();
        self.violations.drain(..).map(|(_, violation)| violation).collect()
    }

    /// In the order of their ranks, and no more than a record may show.
    fn keep_first_violations(&mut self) {
        self.violations.sort_by_key(|(rank, _)| *rank);
        self.violations.truncate(RECORD_VIOLATIONS);
    }

    fn begin(&mut self, plan: &DecodePlan) {
        self.cells.clear(plan.columns.len());
        self.seen.begin(plan.columns.len());
        self.order.begin(plan);
        self.unknown_top.clear();
        self.unknown_custom.clear();
    }

    fn note(&mut self, rank: Rank, violation: Violation) {
        if self.violations.len() >= 2 * RECORD_VIOLATIONS {
            self.keep_first_violations();
        }
        self.violations.push((rank, violation));
    }

    fn judge_text(&mut self, record: &str, is_shallow: bool, plan: &DecodePlan, window: &Window) {
        let bytes = record.as_bytes();
        if bytes.first() != Some(&b'{') {
            self.note(Rank::NotObject, Violation::new("", Rule::NotObject, "an object", Some(bytes)));
            return;
        }
        if !is_shallow && !json::value_end(bytes, 0).is_ok_and(|(_, depth)| depth <= RECORD_DEPTH) {
            let expected = format!("at most {RECORD_DEPTH} levels of nesting");
            self.note(Rank::Container, Violation::new("", Rule::Type, expected, Some(bytes)));
            return;
        }
        // A key takes five bytes at least.
        if bytes.len() > 5 * RECORD_KEYS && json::key_count(bytes) > RECORD_KEYS {
            let violation = Violation::new("", Rule::Length, format!("at most {RECORD_KEYS} keys"), Some(bytes));
            self.note(Rank::Container, violation);
            return;
        }
        let custom = self.judge_top(record, plan);
        self.judge_absent(plan, custom);
        self.judge_unknown(record, plan);
        self.judge_time(plan, record, window);
    }

    /// The members of the record; what its `customMetrics` is. The record follows the grammar, so a
    /// walk through it ends at its end.
    fn judge_top(&mut self, record: &str, plan: &DecodePlan) -> CustomMetrics {
        let mut custom = CustomMetrics::Absent;
        let mut previous = Level::Top.beginning(plan);
        let Ok(mut walk) = Walk::object(record.as_bytes(), 0) else { return custom };
        while let Some(member) = self.order.next_member(record, &mut walk, &mut previous, Level::Top, plan) {
            let is_custom = member == Member::CustomMetrics;
            if is_custom && custom == CustomMetrics::Absent && record[walk.position()..].starts_with('{') {
                custom = CustomMetrics::Object;
                self.judge_custom(record, &mut walk, plan);
                continue;
            }
            let Ok(value) = walk.value() else { break };
            if !is_custom {
                self.judge_field(record, value, member, plan, Level::Top);
                continue;
            }
            let value = &record.as_bytes()[value.range];
            if custom == CustomMetrics::Absent {
                custom = CustomMetrics::NoObject;
                let violation = Violation::new(format!("/{CUSTOM_METRICS}"), Rule::Type, "an object", Some(value));
                self.note(Rank::Container, violation);
            } else {
                self.duplicate_field(Place::Top, &format!("/{CUSTOM_METRICS}"), value);
            }
        }
        custom
    }

    /// The members of the `customMetrics` object at which the record's walk stands.
    fn judge_custom(&mut self, record: &str, top: &mut Walk<'_>, plan: &DecodePlan) {
        let mut previous = Level::Custom.beginning(plan);
        let Ok(mut walk) = Walk::object(record.as_bytes(), top.position()) else { return };
        while let Some(member) = self.order.next_member(record, &mut walk, &mut previous, Level::Custom, plan) {
            let Ok(value) = walk.value() else { break };
            self.judge_field(record, value, member, plan, Level::Custom);
        }
        top.go_on(walk.position());
    }

    fn judge_field(&mut self, record: &str, value: Value, member: Member, plan: &DecodePlan, level: Level) {
        let column = match member {
            Member::Column(column) => column,
            // Its table has no such key, and at the top it is taken before.
            Member::CustomMetrics => return,
            Member::Unknown(key) => {
                let unknown = match level {
                    Level::Top => &mut self.unknown_top,
                    Level::Custom => &mut self.unknown_custom,
                };
                return unknown.push(Field { key, value: value.range });
            }
        };
        let (planned, raw) = (&plan.columns[column], &record[value.range.clone()]);
        if !self.seen.insert(column) {
            return self.duplicate_field(level.place(), &planned.pointer, raw.as_bytes());
        }
        // Nothing else begins like it.
        if raw.starts_with('n') {
            if planned.required {
                let expected = planned.rules.expected();
                let violation = Violation::new(&planned.pointer, Rule::Null, expected, Some(raw.as_bytes()));
                self.note(Rank::Column(column), violation);
            }
            return;
        }
        let sent = SentValue { raw, start: value.range.start, is_plain: value.is_plain };
        let cell = planned.rules.read(sent, &mut self.cells, &mut self.broken);
        self.cells.set(column, cell);
        if self.broken.is_empty() {
            return;
        }
        let mut broken = std::mem::take(&mut self.broken);
        for (rule, expected) in broken.drain(..) {
            let rank = if rule == Rule::Encoding { Rank::Encoding(level.place()) } else { Rank::Column(column) };
            let violation = Violation::new(&planned.pointer, rule, expected, Some(raw.as_bytes()));
            self.note(rank, violation);
        }
        self.broken = broken;
    }

    fn duplicate_field(&mut self, place: Place, pointer: &str, value: &[u8]) {
        let violation = Violation::new(pointer, Rule::DuplicateField, "each field name once", Some(value));
        self.note(Rank::DuplicateField(place), violation);
    }

    fn judge_absent(&mut self, plan: &DecodePlan, custom: CustomMetrics) {
        for index in &plan.required {
            let (index, column) = (*index, &plan.columns[*index]);
            let absent = !self.seen.contains(index);
            let below_wrong_container =
                column.origin == ColumnOrigin::CustomMetric && custom == CustomMetrics::NoObject;
            if absent && !below_wrong_container {
                let violation = Violation::new(&column.pointer, Rule::Missing, column.rules.expected(), None);
                self.note(Rank::Column(index), violation);
            }
        }
    }

    /// Names that come twice among the keys that nobody asked for, and in what is below them.
    fn judge_unknown(&mut self, record: &str, plan: &DecodePlan) {
        if !self.has_unknown() {
            return;
        }
        for level in Level::ALL {
            let fields = match level {
                Level::Top => std::mem::take(&mut self.unknown_top),
                Level::Custom => std::mem::take(&mut self.unknown_custom),
            };
            let mut names = HashSet::new();
            for field in &fields {
                let mut pointer = format!("{}/{}", level.pointer(), field_token(record, field));
                if !names.insert(field_name(record, field)) {
                    self.duplicate_field(Place::Unknown, &pointer, record[field.value.clone()].as_bytes());
                    continue;
                }
                self.judge_below(record, field.value.clone(), &mut pointer);
                if plan.unknown_keys == UnknownKeys::Quarantine {
                    let value = &record.as_bytes()[field.value.clone()];
                    let violation = Violation::new(&pointer, Rule::UnknownKey, "no such key", Some(value));
                    self.note(Rank::UnknownKey, violation);
                }
            }
            match level {
                Level::Top => self.unknown_top = fields,
                Level::Custom => self.unknown_custom = fields,
            }
        }
    }

    /// Repeated names inside of a value that nobody asked for. Its depth is bounded by [`RECORD_DEPTH`]. `pointer` is
    /// where the value is; it is the same afterwards.
    fn judge_below(&mut self, record: &str, value: Range<usize>, pointer: &mut String) {
        let bytes = record.as_bytes();
        let is_container = |value: &Range<usize>| matches!(bytes[value.start], b'{' | b'[');
        let here = pointer.len();
        match bytes[value.start] {
            b'{' => {
                let mut names = HashSet::new();
                for field in object_fields(bytes, value.start).flatten() {
                    let is_first = names.insert(field_name(record, &field));
                    if is_first && !is_container(&field.value) {
                        continue;
                    }
                    pointer.push('/');
                    pointer.push_str(&field_token(record, &field));
                    if !is_first {
                        self.duplicate_field(Place::Unknown, pointer, record[field.value.clone()].as_bytes());
                    }
                    self.judge_below(record, field.value, pointer);
                    pointer.truncate(here);
                }
            }
            b'[' => {
                let elements = array_elements(bytes, value.start).flatten().enumerate();
                for (index, element) in elements.filter(|(_, element)| is_container(element)) {
                    pointer.push_str(&format!("/{index}"));
                    self.judge_below(record, element, pointer);
                    pointer.truncate(here);
                }
            }
            _ => {}
        }
    }

    fn judge_time(&mut self, plan: &DecodePlan, record: &str, window: &Window) {
        let Some(column) = plan.time_column else { return };
        let Cell::Timestamp(micros) = *self.cells.get(column) else { return };
        if window.timestamp_micros().contains(&micros) {
            return;
        }
        let (start, end) = window.bounds();
        let pointer = &plan.columns[column].pointer;
        let found = object_fields(record.as_bytes(), 0)
            .flatten()
            .find(|field| plan.top.column(&field_name(record, field)) == Some(column))
            .map(|field| &record.as_bytes()[field.value]);
        let violation = Violation::new(pointer, Rule::OutOfWindow, format!("from {start} to before {end}"), found);
        self.note(Rank::Column(column), violation);
    }

    /// The record's key, as [`write_key`] has it.
    pub(super) fn read_key(&self, plan: &DecodePlan, record: &str, into: &mut String) {
        write_key(&plan.key, |column| (self.cells.get(column).clone(), self.cells.text(column, record)), into);
    }

    /// Whether the record had keys that nobody asked for.
    pub(super) fn has_unknown(&self) -> bool {
        !self.unknown_top.is_empty() || !self.unknown_custom.is_empty()
    }

    /// The pointers of the keys that nobody asked for.
    pub(super) fn unknown_pointers(&self, record: &str) -> Vec<String> {
        let pointers = |level: Level, fields: &[Field]| -> Vec<String> {
            let pointer = |field| shown_path(format!("{}/{}", level.pointer(), field_token(record, field)));
            fields.iter().map(pointer).collect()
        };
        let mut all = pointers(Level::Top, &self.unknown_top);
        all.extend(pointers(Level::Custom, &self.unknown_custom));
        // A name that comes twice is of one record all the same.
        all.sort_unstable();
        all.dedup();
        all
    }

    /// `_unmapped`: the keys that nobody asked for, each value's exact text, under the path where
    /// it stood.
    pub(super) fn unmapped(&self, record: &str) -> Option<String> {
        if !self.has_unknown() {
            return None;
        }
        let members = |fields: &[Field]| -> Vec<String> {
            let member = |field: &Field| format!("\"{}\":{}", &record[field.key.clone()], &record[field.value.clone()]);
            fields.iter().map(member).collect()
        };
        let mut top = members(&self.unknown_top);
        if !self.unknown_custom.is_empty() {
            top.push(format!("\"{CUSTOM_METRICS}\":{{{}}}", members(&self.unknown_custom).join(",")));
        }
        Some(format!("{{{}}}", top.join(",")))
    }
}

/// What a record has as `customMetrics`.
#[derive(Clone, Copy, PartialEq)]
enum CustomMetrics {
    Absent,
    Object,
    NoObject,
}

impl Level {
    fn place(self) -> Place {
        match self {
            Self::Top => Place::Top,
            Self::Custom => Place::Custom,
        }
    }
}

/// A name by what it means; half a surrogate pair means only itself.
fn field_name(record: &str, field: &Field) -> String {
    let raw = &record[field.key.clone()];
    decode_string(raw).map_or_else(|_| raw.to_owned(), std::borrow::Cow::into_owned)
}

fn field_token(record: &str, field: &Field) -> String {
    pointer_token(&field_name(record, field)).into_owned()
}
