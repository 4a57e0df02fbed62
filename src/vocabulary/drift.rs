//! Changes between what the registry knows and what the tenant has.

use serde::{Deserialize, Serialize};

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// A published metric that the registry did not know.
    NewMetric,
    /// A metric has another display name.
    Renamed,
    /// Constraints of a metric were widened or narrowed.
    ConstraintsChanged,
    /// A metric has another type, and so a new column.
    TypeChanged,
    /// A metric was retired or is gone.
    Retired,
    /// A retired metric is published again.
    Restored,
    /// A key in the data that nobody asked for.
    UnknownKey,
}

/// One change, as the log and the summary tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DriftEvent {
    /// The tenant it was seen at.
    pub tenant: String,
    /// What changed.
    pub kind: DriftKind,
    /// The metric's id, or the JSON Pointer of the unknown key.
    pub id: String,
    /// What exactly, for a person.
    pub detail: String,
    /// The registry version that holds the change, if it made one.
    pub registry_version: Option<u32>,
    /// How many records had the key, for an unknown one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}
