//! The types that a column can have (contract, "Configuration").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most digits that a decimal column keeps: what Arrow's `Decimal128` and the warehouses keep.
const MAX_DECIMAL_PRECISION: u8 = 38;

/// The type of a column, written `string`, `number`, `decimal(p,s)`, `integer`, `boolean`,
/// `timestamp` or `date`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ColumnType {
    /// UTF-8 text, every code point kept.
    String,
    /// A float64, only for literals that float64 keeps exactly.
    Number,
    /// An exact decimal of `precision` digits, `scale` of them after the point.
    Decimal {
        /// All digits, 1 to 38.
        precision: u8,
        /// Digits after the point, at most `precision`.
        scale: u8,
    },
    /// A whole number within int64.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// An instant, in UTC microseconds.
    Timestamp,
    /// A calendar day.
    Date,
}

impl ColumnType {
    /// The type as part of a column's name: `decimal_9_6` for `decimal(9,6)`.
    pub fn name_suffix(self) -> String {
        match self {
            Self::Decimal { precision, scale } => format!("decimal_{precision}_{scale}"),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String => formatter.write_str("string"),
            Self::Number => formatter.write_str("number"),
            Self::Decimal { precision, scale } => write!(formatter, "decimal({precision},{scale})"),
            Self::Integer => formatter.write_str("integer"),
            Self::Boolean => formatter.write_str("boolean"),
            Self::Timestamp => formatter.write_str("timestamp"),
            Self::Date => formatter.write_str("date"),
        }
    }
}

/// A text that names no column type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown column type {0:?}: expected string, number, decimal(p,s) with p up to 38, integer, boolean, timestamp or date"
)]
pub struct ParseColumnTypeError(String);

impl FromStr for ColumnType {
    type Err = ParseColumnTypeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "string" => Ok(Self::String),
            "number" => Ok(Self::Number),
            "integer" => Ok(Self::Integer),
            "boolean" => Ok(Self::Boolean),
            "timestamp" => Ok(Self::Timestamp),
            "date" => Ok(Self::Date),
            other => parse_decimal(other).ok_or_else(|| ParseColumnTypeError(text.to_owned())),
        }
    }
}

fn parse_decimal(text: &str) -> Option<ColumnType> {
    let inner = text.strip_prefix("decimal(")?.strip_suffix(')')?;
    let (precision, scale) = inner.split_once(',')?;
    let precision: u8 = precision.trim().parse().ok()?;
    let scale: u8 = scale.trim().parse().ok()?;
    (1..=MAX_DECIMAL_PRECISION).contains(&precision).then_some(())?;
    (scale <= precision).then_some(ColumnType::Decimal { precision, scale })
}

impl TryFrom<String> for ColumnType {
    type Error = ParseColumnTypeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ColumnType> for String {
    fn from(column_type: ColumnType) -> Self {
        column_type.to_string()
    }
}

impl schemars::JsonSchema for ColumnType {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ColumnType".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(string|number|integer|boolean|timestamp|date|decimal\\([0-9]{1,2},[0-9]{1,2}\\))$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_types_are_read_as_they_are_written() {
        for text in ["string", "number", "decimal(9,6)", "decimal(38,0)", "integer", "boolean", "timestamp", "date"] {
            let column_type: ColumnType = text.parse().unwrap();
            assert_eq!(column_type.to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_no_column_types() {
        for text in ["", "text", "decimal", "decimal(39,0)", "decimal(0,0)", "decimal(4,5)", "decimal(4)", "Number"] {
            assert!(text.parse::<ColumnType>().is_err(), "{text}");
        }
    }
}
