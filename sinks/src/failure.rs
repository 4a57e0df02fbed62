//! Failures of a sink by what the operator does next.

use std::fmt;

/// What the operator does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkFailureKind {
    /// The configuration is wrong, or the store cannot do what is needed.
    Configuration,
    /// The store or the disk fails for now.
    Unavailable,
    /// Another run committed, or planned, a newer version of the window.
    Superseded,
    /// The lake, or a table, is not as the manifests say.
    Mismatch,
    /// The lake is committed, and the warehouse does not hold it.
    Load,
    /// A defect of ours.
    Defect,
}

/// A failure with a message that completes "failed to …", and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFailure {
    /// What the operator does next.
    pub kind: SinkFailureKind,
    /// What failed.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl SinkFailure {
    pub(crate) fn configuration(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: SinkFailureKind::Configuration, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn unavailable(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: SinkFailureKind::Unavailable, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn superseded(message: impl Into<String>) -> Self {
        Self {
            kind: SinkFailureKind::Superseded,
            message: message.into(),
            hint: "run it again: the newest run wins".to_owned(),
        }
    }

    pub(crate) fn mismatch(message: impl Into<String>) -> Self {
        let hint = "`cxlake verify` lists what is wrong with the lake; a run of the window replaces it".to_owned();
        Self { kind: SinkFailureKind::Mismatch, message: message.into(), hint }
    }

    /// A file of ours that cannot be read, and will not be by itself.
    pub(crate) fn damaged(message: impl Into<String>) -> Self {
        let hint = "restore it as it was, or remove it and run its window again".to_owned();
        Self { kind: SinkFailureKind::Mismatch, message: message.into(), hint }
    }

    /// A table that is not as the manifests say.
    #[cfg(feature = "bigquery")]
    pub(crate) fn differs(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: SinkFailureKind::Mismatch, message: message.into(), hint: hint.into() }
    }

    #[cfg_attr(not(any(feature = "bigquery", feature = "snowflake")), expect(dead_code, reason = "no warehouse"))]
    pub(crate) fn load(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind: SinkFailureKind::Load, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn defect(message: impl Into<String>) -> Self {
        let hint = "this is a defect of cxlake: please report it with the log".to_owned();
        Self { kind: SinkFailureKind::Defect, message: message.into(), hint }
    }

    /// A failure of the local disk while `doing`.
    pub(crate) fn disk(doing: &str, error: &std::io::Error) -> Self {
        Self::unavailable(format!("{doing}: {error}"), "check that the disk has room and may be written to")
    }

    /// A failure of the store while `doing`.
    pub(crate) fn store(doing: &str, error: &object_store::Error) -> Self {
        Self::unavailable(
            format!("{doing}: {error}"),
            "check that the lake is reachable and that this user may read and write there: `cxlake check`",
        )
    }
}

impl fmt::Display for SinkFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "failed to {}", self.message)
    }
}

impl std::error::Error for SinkFailure {}
