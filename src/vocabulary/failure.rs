//! Failures by what the operator does next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What kind of failure it is: each kind has one exit code and one answer to "is a retry worth it"
/// (contract, "Exit codes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A defect of ours.
    Defect,
    /// The command line or the configuration is wrong.
    Configuration,
    /// Authentication, permission, region or licence.
    Access,
    /// Drift that the policy forbids.
    Drift,
    /// The tenant, the lake or the warehouse fails for now.
    Unavailable,
    /// Too many rejects, or totals that differ from the baseline.
    Quality,
    /// The records do not add up to the source's total.
    Incomplete,
    /// The lake is committed, and the warehouse does not hold it.
    Load,
    /// Another run superseded this one.
    Superseded,
    /// The lake does not match its manifests.
    Mismatch,
    /// Stopped by SIGINT.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl FailureKind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Defect => 1,
            Self::Configuration => 2,
            Self::Access => 3,
            Self::Drift => 4,
            Self::Unavailable => 5,
            Self::Quality => 6,
            Self::Incomplete => 7,
            Self::Load => 8,
            Self::Superseded => 9,
            Self::Mismatch => 10,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Where several windows fail, the failure of the lowest rank gives the exit code (contract,
    /// "Exit codes"): 1, 2, 3, 4, 6, 10, 7, 8, 9, 5. An interruption comes before all.
    pub fn rank(self) -> u8 {
        match self {
            Self::Interrupted | Self::Terminated => 0,
            Self::Defect => 1,
            Self::Configuration => 2,
            Self::Access => 3,
            Self::Drift => 4,
            Self::Quality => 5,
            Self::Mismatch => 6,
            Self::Incomplete => 7,
            Self::Load => 8,
            Self::Superseded => 9,
            Self::Unavailable => 10,
        }
    }
}

/// A failure as the operator reads it: a message that completes "failed to …", and one hint.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What the operator does next.
    pub kind: FailureKind,
    /// What failed, in lower case, completing "failed to …".
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// When a retry is worth it.
    pub retry_after_seconds: Option<u64>,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, retry_after_seconds: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with the time after which a retry is worth it.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Shorthand for [`FailureKind::Configuration`].
    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Configuration, message)
    }

    /// Shorthand for [`FailureKind::Access`].
    pub fn access(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Access, message)
    }

    /// Shorthand for [`FailureKind::Unavailable`].
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unavailable, message)
    }

    /// Shorthand for [`FailureKind::Incomplete`].
    pub fn incomplete(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Incomplete, message)
    }

    /// Shorthand for [`FailureKind::Defect`].
    pub fn defect(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Defect, message).hint("this is a defect of cxlake: please report it with the log")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "failed to {}", self.message)
    }
}

impl std::error::Error for Failure {}
