//! The rules of one column, compiled: from a value's text to its cell, or to what it breaks.

use std::borrow::Cow;

use hashbrown::HashSet;
use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use super::cells::{Cell, Cells};
use super::further_rules::FurtherRules;
use super::moment::{NoTimestamp, date_days, timestamp_micros};
use super::violation::{Rule, shown};
use crate::vocabulary::json::{LoneSurrogate, decode_string};
use crate::vocabulary::{AllowedValue, ColumnType, Constraints, ExactNumber, NotKept, ShortNumber};

/// The type of a column's values and the rules beside it.
#[derive(Debug)]
pub(super) struct ValueRules {
    column_type: ColumnType,
    minimum: Option<Bound>,
    maximum: Option<Bound>,
    allowed: Option<Allowed>,
    pattern: Option<Pattern>,
    max_length: Option<u64>,
    precision: Option<u64>,
    further: Option<FurtherRules>,
}

#[derive(Debug)]
struct Bound {
    exact: ExactNumber,
    /// For the fast way: rounding to float64 keeps the order, so only equal floats need the exact
    /// comparison.
    float: f64,
    /// Whether numbers of as few digits that have the same float64 are the same.
    is_short: bool,
    /// The same as an int64, where it is one.
    integer: Option<i64>,
}

#[derive(Debug)]
struct Allowed {
    texts: HashSet<String>,
    numbers: Vec<ExactNumber>,
    booleans: Vec<bool>,
    shown: String,
}

#[derive(Debug)]
struct Pattern {
    source: String,
    /// The same engine as the second validator's, so that both read patterns alike.
    validator: Validator,
}

/// A value as it was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentValue<'a> {
    /// Its exact text.
    pub(super) raw: &'a str,
    /// Its place in the record.
    pub(super) start: usize,
    /// Whether it is a string in which nothing is escaped, for certain.
    pub(super) is_plain: bool,
}

impl<'a> SentValue<'a> {
    /// What stands between the quotes of a string.
    fn inner(self) -> &'a str {
        &self.raw[1..self.raw.len() - 1]
    }

    /// What a string means.
    fn text(self) -> Result<Cow<'a, str>, LoneSurrogate> {
        if self.is_plain { Ok(Cow::Borrowed(self.inner())) } else { decode_string(self.inner()) }
    }
}

/// What a value breaks, and what would have been right.
pub(super) type Broken = (Rule, String);

/// What the rules of a column may be made of.
pub const RULES_HINT: &str =
    "patterns are ECMA regular expressions without look-around and back-references; schema holds keywords of draft-07";

/// Whether a column's rules can be checked.
///
/// # Errors
/// The reason, where they cannot: for a pattern that is no regular expression that runs in linear time, or a keyword of
/// JSON Schema that is not known.
pub fn check_rules(column_type: ColumnType, constraints: &Constraints) -> Result<(), String> {
    ValueRules::compile(column_type, constraints).map(|_| ())
}

impl ValueRules {
    /// Compiles a column's rules.
    ///
    /// # Errors
    /// The reason, where the pattern is no regular expression that runs in linear time.
    pub(super) fn compile(column_type: ColumnType, constraints: &Constraints) -> Result<Self, String> {
        Ok(Self {
            column_type,
            minimum: constraints.minimum.as_ref().map(Bound::of),
            maximum: constraints.maximum.as_ref().map(Bound::of),
            allowed: constraints.allowed_values.as_deref().map(Allowed::of),
            pattern: constraints.pattern.as_deref().map(Pattern::compile).transpose()?,
            max_length: constraints.max_length,
            precision: constraints.precision,
            further: constraints
                .schema
                .as_ref()
                .map(|schema| FurtherRules::compile(column_type, schema))
                .transpose()?,
        })
    }

    /// The cell for a value that is not null. What the value breaks is added to `broken`; then the cell
    /// is not to be used.
    pub(super) fn read(&self, value: SentValue<'_>, cells: &mut Cells, broken: &mut Vec<Broken>) -> Cell {
        let cell = self.read_by_type(value, cells, broken);
        if let Some(further) = &self.further {
            match cell {
                // Of another type, or no value that could be kept.
                Cell::Empty => {}
                Cell::Integer(integer) => further.check(&Value::from(integer), broken),
                _ => further.check_raw(value.raw, broken),
            }
        }
        cell
    }

    fn read_by_type(&self, value: SentValue<'_>, cells: &mut Cells, broken: &mut Vec<Broken>) -> Cell {
        match (self.column_type, value.raw.as_bytes().first()) {
            (ColumnType::String, Some(b'"')) => self.read_text(value, cells, broken),
            (ColumnType::Timestamp | ColumnType::Date, Some(b'"')) => self.read_moment(value, broken),
            (ColumnType::Boolean, Some(b't')) => self.read_boolean(true, broken),
            (ColumnType::Boolean, Some(b'f')) => self.read_boolean(false, broken),
            (ColumnType::Number | ColumnType::Integer | ColumnType::Decimal { .. }, Some(b'-' | b'0'..=b'9')) => {
                self.read_number(value.raw, broken)
            }
            _ => {
                broken.push((Rule::Type, self.column_type.to_string()));
                Cell::Empty
            }
        }
    }

    fn read_text(&self, value: SentValue<'_>, cells: &mut Cells, broken: &mut Vec<Broken>) -> Cell {
        if value.is_plain {
            let text = value.inner();
            self.check_text(text, broken);
            return Cell::Text(value.start + 1..value.start + 1 + text.len());
        }
        let Ok(cell) = cells.unescape(value.inner()) else {
            broken.push((Rule::Encoding, "Unicode text".to_owned()));
            return Cell::Empty;
        };
        self.check_text(&cells.unescaped()[cell.clone()], broken);
        Cell::Unescaped(cell)
    }

    fn read_moment(&self, value: SentValue<'_>, broken: &mut Vec<Broken>) -> Cell {
        let Ok(text) = value.text() else {
            broken.push((Rule::Encoding, "Unicode text".to_owned()));
            return Cell::Empty;
        };
        self.check_text(&text, broken);
        if self.column_type == ColumnType::Date {
            return date_days(&text).map_or_else(
                || {
                    broken.push((Rule::Type, "date as YYYY-MM-DD".to_owned()));
                    Cell::Empty
                },
                Cell::Date,
            );
        }
        match timestamp_micros(&text) {
            Ok(micros) => Cell::Timestamp(micros),
            Err(NoTimestamp::Syntax) => {
                broken.push((Rule::Type, "timestamp as RFC 3339 with an offset".to_owned()));
                Cell::Empty
            }
            Err(NoTimestamp::Precision) => {
                broken.push((Rule::Precision, "at most microseconds".to_owned()));
                Cell::Empty
            }
        }
    }

    /// Whether a text of so many bytes breaks nothing, whatever it is.
    #[inline]
    pub(super) fn allow_any_text(&self, bytes: usize) -> bool {
        self.allowed.is_none() && self.pattern.is_none() && self.max_length.is_none_or(|most| bytes as u64 <= most)
    }

    /// Whether all booleans are allowed.
    #[inline]
    pub(super) fn allow_any_boolean(&self) -> bool {
        self.allowed.is_none()
    }

    /// The rules of texts.
    #[inline]
    pub(super) fn check_text(&self, text: &str, broken: &mut Vec<Broken>) {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.texts.contains(text)) {
            broken.push((Rule::Enum, self.allowed_values()));
        }
        if let Some(pattern) = self.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            broken.push((Rule::Pattern, pattern.source.clone()));
        }
        if let Some(most) = self.max_length
            && text.len() as u64 > most
            && text.chars().count() as u64 > most
        {
            broken.push((Rule::Length, format!("at most {most} code points")));
        }
    }

    fn read_boolean(&self, value: bool, broken: &mut Vec<Broken>) -> Cell {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.booleans.contains(&value)) {
            broken.push((Rule::Enum, self.allowed_values()));
        }
        Cell::Boolean(value)
    }

    /// Whether values are held against a schema too.
    pub(super) fn has_further(&self) -> bool {
        self.further.is_some()
    }

    /// Whether only the exact way can tell what a number breaks.
    #[inline]
    fn needs_exact(&self, number: ShortNumber) -> bool {
        self.allowed.is_some() || self.precision.is_some_and(|most| number.fraction_digits() > most)
    }

    /// The fast way, for whole numbers of few digits that break nothing; `None` where only the exact way
    /// can tell.
    #[inline]
    pub(super) fn short_integer(&self, number: ShortNumber) -> Option<i64> {
        let value = number.integer().filter(|_| !self.needs_exact(number))?;
        let is_within = self.minimum.as_ref().is_none_or(|bound| bound.integer.is_some_and(|least| least <= value))
            && self.maximum.as_ref().is_none_or(|bound| bound.integer.is_some_and(|most| value <= most));
        is_within.then_some(value)
    }

    /// As [`ValueRules::short_integer`], for float64.
    #[inline]
    pub(super) fn short_float(&self, number: ShortNumber) -> Option<f64> {
        let value = number.exact_float().filter(|_| !self.needs_exact(number))?;
        let is_within = (self.minimum.as_ref())
            .is_none_or(|bound| bound.float < value || (bound.is_short && bound.float <= value))
            && (self.maximum.as_ref())
                .is_none_or(|bound| value < bound.float || (bound.is_short && value <= bound.float));
        is_within.then_some(value)
    }

    /// As [`ValueRules::short_float`], for numbers of more digits. `literal` is the text that the number was read from.
    #[inline(never)]
    pub(super) fn shortest_float(&self, number: ShortNumber, literal: &str) -> Option<f64> {
        let value = number.shortest_float(literal).filter(|_| !self.needs_exact(number))?;
        // Where floats are equal, the numbers need not be.
        let is_within = self.minimum.as_ref().is_none_or(|bound| bound.float < value)
            && self.maximum.as_ref().is_none_or(|bound| value < bound.float);
        is_within.then_some(value)
    }

    fn read_short_number(&self, raw: &str) -> Option<Cell> {
        let number = ShortNumber::of_literal(raw.as_bytes())?;
        match self.column_type {
            ColumnType::Integer => self.short_integer(number).map(Cell::Integer),
            ColumnType::Number => self.short_float(number).map(Cell::Float),
            _ => None,
        }
    }

    fn read_number(&self, raw: &str, broken: &mut Vec<Broken>) -> Cell {
        if let Some(cell) = self.read_short_number(raw) {
            return cell;
        }
        let number = ExactNumber::of_literal(raw.as_bytes());
        let cell = match self.column_type {
            ColumnType::Integer => number.to_integer().map(Cell::Integer),
            ColumnType::Decimal { precision, scale } => number.to_decimal(precision, scale).map(Cell::Decimal),
            _ => number.to_float(raw).map(Cell::Float),
        };
        let cell = cell.unwrap_or_else(|reason| {
            broken.push(self.not_kept(reason));
            if let ColumnType::Decimal { precision, scale } = self.column_type
                && reason == NotKept::Precision
                && number.is_larger_than_decimal(precision, scale)
            {
                broken.push(self.not_kept(NotKept::Range));
            }
            Cell::Empty
        });
        self.check_number(raw, &number, broken);
        cell
    }

    fn not_kept(&self, reason: NotKept) -> Broken {
        match reason {
            NotKept::NotWhole => (Rule::Type, self.column_type.to_string()),
            NotKept::Precision => (Rule::Precision, format!("what {} keeps exactly", self.kept_in())),
            NotKept::Range => (Rule::Range, format!("within {}", self.kept_in())),
        }
    }

    fn kept_in(&self) -> String {
        match self.column_type {
            ColumnType::Integer => "int64".to_owned(),
            ColumnType::Number => "float64".to_owned(),
            other => other.to_string(),
        }
    }

    /// The rules beside the type, each broken rule once.
    fn check_number(&self, raw: &str, number: &ExactNumber, broken: &mut Vec<Broken>) {
        let mut add = |rule: Rule, expected: String| {
            if !broken.iter().any(|(known, _)| *known == rule) {
                broken.push((rule, expected));
            }
        };
        if self.minimum.is_some() || self.maximum.is_some() {
            let float = number.nearest_float(raw);
            if let Some(minimum) = self.minimum.as_ref().filter(|bound| bound.is_above(float, number)) {
                add(Rule::Range, format!(">= {}", minimum.exact));
            }
            if let Some(maximum) = self.maximum.as_ref().filter(|bound| bound.is_below(float, number)) {
                add(Rule::Range, format!("<= {}", maximum.exact));
            }
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.numbers.contains(number)) {
            add(Rule::Enum, self.allowed_values());
        }
        if let Some(most) = self.precision.filter(|most| number.fraction_digits() > *most) {
            add(Rule::Precision, format!("at most {most} digits after the point"));
        }
    }

    fn allowed_values(&self) -> String {
        self.allowed.as_ref().map(|allowed| allowed.shown.clone()).unwrap_or_default()
    }

    /// What a missing or null value should have been.
    pub(super) fn expected(&self) -> String {
        self.column_type.to_string()
    }
}

impl Bound {
    fn of(number: &ExactNumber) -> Self {
        let text = number.to_string();
        Self {
            exact: number.clone(),
            float: text.parse().unwrap_or(f64::NAN),
            is_short: ShortNumber::of_literal(text.as_bytes()).and_then(ShortNumber::exact_float).is_some(),
            integer: number.to_integer().ok(),
        }
    }

    fn is_above(&self, float: f64, number: &ExactNumber) -> bool {
        float < self.float || (float <= self.float && *number < self.exact)
    }

    fn is_below(&self, float: f64, number: &ExactNumber) -> bool {
        float > self.float || (float >= self.float && *number > self.exact)
    }
}

impl Allowed {
    fn of(values: &[AllowedValue]) -> Self {
        let mut allowed = Self {
            texts: HashSet::new(),
            numbers: Vec::new(),
            booleans: Vec::new(),
            shown: shown(serde_json::to_string(values).unwrap_or_default().as_bytes()),
        };
        for value in values {
            match value {
                AllowedValue::Text(text) => drop(allowed.texts.insert(text.clone())),
                AllowedValue::Number(number) => allowed.numbers.push(number.clone()),
                AllowedValue::Boolean(boolean) => allowed.booleans.push(*boolean),
                AllowedValue::Other(_) => {}
            }
        }
        allowed
    }
}

impl Pattern {
    fn compile(source: &str) -> Result<Self, String> {
        let schema = serde_json::json!({ "type": "string", "pattern": source });
        let validator = jsonschema::draft7::options()
            .with_pattern_options(PatternOptions::regex())
            .build(&schema)
            .map_err(|error| error.to_string())?;
        Ok(Self { source: source.to_owned(), validator })
    }

    fn matches(&self, text: &str) -> bool {
        self.validator.is_valid(&Value::String(text.to_owned()))
    }
}
