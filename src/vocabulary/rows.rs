//! What became of the records of a window.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of one window. They add up, or the window is not committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCounts {
    /// What the source said there is.
    pub expected: u64,
    /// What the source delivered.
    pub fetched: u64,
    /// Records in `data/`.
    pub accepted: u64,
    /// Records in `quarantine/`.
    pub quarantined: u64,
    /// Records whose exact text had already been accepted.
    pub duplicates: u64,
}

impl RowCounts {
    /// Whether `expected = fetched = accepted + quarantined + duplicates`.
    pub fn balance(&self) -> bool {
        self.expected == self.fetched && self.fetched == self.accepted + self.quarantined + self.duplicates
    }

    /// Quarantined records in percent of all that were fetched.
    pub fn quarantined_percent(&self) -> f64 {
        if self.fetched == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of records stay far below 2^53")]
        let percent = self.quarantined as f64 * 100.0 / self.fetched as f64;
        percent
    }
}

/// Rejected records by the rule and the path of their first violation.
pub type RejectTally = BTreeMap<(String, String), u64>;
