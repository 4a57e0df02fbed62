//! All errors, by what the operator does next.

use cxlake_sinks::failure::{SinkFailure, SinkFailureKind};

use crate::settings::{DriftPolicy, ReportSettings};
use crate::vocabulary::{DriftKind, Failure, FailureKind};
use crate::window::WindowError;

impl From<SinkFailure> for Failure {
    fn from(failure: SinkFailure) -> Self {
        let kind = match failure.kind {
            SinkFailureKind::Configuration => FailureKind::Configuration,
            SinkFailureKind::Unavailable => FailureKind::Unavailable,
            SinkFailureKind::Superseded => FailureKind::Superseded,
            SinkFailureKind::Mismatch => FailureKind::Mismatch,
            SinkFailureKind::Load => FailureKind::Load,
            SinkFailureKind::Defect => FailureKind::Defect,
        };
        Self::new(kind, failure.message).hint(failure.hint)
    }
}

impl From<WindowError> for Failure {
    fn from(error: WindowError) -> Self {
        let hint = match &error {
            WindowError::Empty(_) => {
                "Airflow 3's default schedule gives empty intervals: use CronDataIntervalTimetable, or pass --date"
            }
            WindowError::Reversed(..) => "--to is the first day that is not read",
            WindowError::NotOnBorder { .. } => {
                "windows begin and end at midnights (or full hours) of the tenant's zone"
            }
        };
        Self::configuration(format!("find the windows: {error}")).hint(hint)
    }
}

/// Whether a report's policy forbids a kind of drift.
pub(super) fn forbids(report: &ReportSettings, kind: DriftKind) -> bool {
    let policy = match kind {
        DriftKind::NewMetric => report.policy.new_metric,
        DriftKind::Renamed
        | DriftKind::ConstraintsChanged
        | DriftKind::TypeChanged
        | DriftKind::Restored
        | DriftKind::AssignmentChanged => report.policy.changed_metric,
        DriftKind::Retired => report.policy.retired_metric,
        DriftKind::UnknownKey => return false,
    };
    policy == DriftPolicy::Freeze
}
