//! What a value must satisfy beside its type.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::ExactNumber;

/// The rules for a value, as the tenant's catalog and JSON Schema have them. All are compared on
/// the exact value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// The least value, itself allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<ExactNumber>,
    /// The greatest value, itself allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<ExactNumber>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_values: Option<Vec<AllowedValue>>,
    /// A regular expression (as JSON Schema reads it) that the text must match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The most code points of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// The most digits after the decimal point, trailing zeros aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u64>,
    /// Further keywords of JSON Schema (draft-07) that the value must satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Map<String, serde_json::Value>>,
}

/// A value that is allowed, exactly as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum AllowedValue {
    /// A text.
    Text(String),
    /// A number by its exact value.
    Number(ExactNumber),
    /// `true` or `false`.
    Boolean(bool),
    /// What no column holds: null, an array, an object.
    Other(serde_json::Value),
}

impl Eq for AllowedValue {}

impl From<serde_json::Value> for AllowedValue {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::String(text) => Self::Text(text),
            serde_json::Value::Bool(boolean) => Self::Boolean(boolean),
            serde_json::Value::Number(number) => match ExactNumber::parse(&number.to_string()) {
                Some(exact) => Self::Number(exact),
                None => Self::Other(serde_json::Value::Number(number)),
            },
            other => Self::Other(other),
        }
    }
}

impl Serialize for AllowedValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Boolean(boolean) => boolean.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AllowedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if let Some(number) = ExactNumber::parse(raw.get()) {
            return Ok(Self::Number(number));
        }
        serde_json::from_str::<serde_json::Value>(raw.get()).map(Self::from).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for AllowedValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AllowedValue".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!(true)
    }
}
