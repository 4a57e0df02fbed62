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
    /// A metric is assigned to other reporting groups.
    AssignmentChanged,
    /// A key in the data that nobody asked for.
    UnknownKey,
}

impl DriftKind {
    /// The kind as events and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::NewMetric => "new_metric",
            Self::Renamed => "renamed",
            Self::ConstraintsChanged => "constraints_changed",
            Self::TypeChanged => "type_changed",
            Self::Retired => "retired",
            Self::Restored => "restored",
            Self::AssignmentChanged => "assignment_changed",
            Self::UnknownKey => "unknown_key",
        }
    }
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
    /// The report in whose data it was seen, for an unknown key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// How many records had the key, for an unknown one: in a summary those of the run, in the
    /// registry's event those of the window that had it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// The window of the first record that had the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_window: Option<String>,
    /// That record's place in its window, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_record: Option<u64>,
}
