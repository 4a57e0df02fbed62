//! Why a record was rejected.

use serde::{Deserialize, Serialize};

use crate::settings::limits::{COUNTED_REJECTS, SHOWN_PATH_BYTES, SHOWN_VALUE_BYTES};
use crate::vocabulary::RejectTally;

/// The closed set of rules (contract, "Quarantine columns").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A required value is absent.
    Missing,
    /// A required value is null.
    Null,
    /// The value is of another type.
    Type,
    /// The value is too small or too large.
    Range,
    /// The value is none of those allowed.
    Enum,
    /// The text does not match.
    Pattern,
    /// The text is too long.
    Length,
    /// The number has more digits than are kept.
    Precision,
    /// A field name comes twice in one object.
    DuplicateField,
    /// Another record of the window has the same key and another text.
    DuplicateKey,
    /// The text is no Unicode.
    Encoding,
    /// The record is no object.
    NotObject,
    /// A key that nobody asked for.
    UnknownKey,
    /// The record's time is not in its window.
    OutOfWindow,
}

impl Rule {
    /// All of them, in the contract's order.
    pub const ALL: [Self; 14] = [
        Self::Missing,
        Self::Null,
        Self::Type,
        Self::Range,
        Self::Enum,
        Self::Pattern,
        Self::Length,
        Self::Precision,
        Self::DuplicateField,
        Self::DuplicateKey,
        Self::Encoding,
        Self::NotObject,
        Self::UnknownKey,
        Self::OutOfWindow,
    ];

    /// The rule's name in the quarantine.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Null => "null",
            Self::Type => "type",
            Self::Range => "range",
            Self::Enum => "enum",
            Self::Pattern => "pattern",
            Self::Length => "length",
            Self::Precision => "precision",
            Self::DuplicateField => "duplicate_field",
            Self::DuplicateKey => "duplicate_key",
            Self::Encoding => "encoding",
            Self::NotObject => "not_object",
            Self::UnknownKey => "unknown_key",
            Self::OutOfWindow => "out_of_window",
        }
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where, as a JSON Pointer (RFC 6901), cut where it is longer than any that is meant; empty for the record itself.
    pub path: String,
    /// Which rule.
    pub rule: Rule,
    /// What would have been right.
    pub expected: String,
    /// The value's exact text, cut where it is long; `None` where there is no value.
    pub found: Option<String>,
}

impl Violation {
    /// A violation by the value `found`.
    pub fn new(path: impl Into<String>, rule: Rule, expected: impl Into<String>, found: Option<&[u8]>) -> Self {
        Self { path: shown_path(path.into()), rule, expected: expected.into(), found: found.map(shown) }
    }
}

/// Counts a reject by the rule and the path of its first violation; by the rule alone where it is one place too many.
pub(super) fn tally(rejects: &mut RejectTally, rule: Rule, path: &str) {
    let mut counted = (rule.name().to_owned(), path.to_owned());
    if rejects.len() >= COUNTED_REJECTS && !rejects.contains_key(&counted) {
        counted.1 = "…".to_owned();
    }
    *rejects.entry(counted).or_default() += 1;
}

/// The text of a value, cut after [`SHOWN_VALUE_BYTES`].
pub(super) fn shown(value: &[u8]) -> String {
    if value.len() <= SHOWN_VALUE_BYTES {
        return String::from_utf8_lossy(value).into_owned();
    }
    cut(value, SHOWN_VALUE_BYTES)
}

/// A path, cut after [`SHOWN_PATH_BYTES`].
pub(super) fn shown_path(path: String) -> String {
    if path.len() <= SHOWN_PATH_BYTES { path } else { cut(path.as_bytes(), SHOWN_PATH_BYTES) }
}

/// The first `bytes` of a text, as far as they are whole characters.
fn cut(text: &[u8], bytes: usize) -> String {
    let text = String::from_utf8_lossy(&text[..bytes]);
    format!("{}…", text.trim_end_matches(char::REPLACEMENT_CHARACTER))
}
