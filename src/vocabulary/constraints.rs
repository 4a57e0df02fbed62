//! What a value must satisfy beside its type.

use serde::{Deserialize, Serialize};

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
    pub allowed_values: Option<Vec<serde_json::Value>>,
    /// A regular expression (as JSON Schema reads it) that the text must match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The most code points of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// The most digits after the decimal point, trailing zeros aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u64>,
}
