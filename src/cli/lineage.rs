//! Lineage of a run, told at its beginning and at its end.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::report::Lineage;
use crate::run::{LineageTargets, RunRecord, RunReport, RunRequest};
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::Failure;

/// How long all of a run's events may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is told, of what.
pub(super) struct RunLineage {
    targets: Option<LineageTargets>,
    asked: Option<(Settings, RunRequest)>,
}

impl RunLineage {
    /// Nothing is told yet.
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { targets: LineageTargets::of(&|name| std::env::var(name).ok(), file), asked: None }
    }

    /// A run of these begins.
    pub(super) async fn begin(&mut self, settings: &Settings, request: &RunRequest, run_id: &str, now: &str) {
        if self.targets.is_some() {
            self.asked = Some((settings.clone(), request.clone()));
        }
        self.tell(run_id, |lineage, _| lineage.started(now)).await;
    }

    /// It ended.
    pub(super) async fn end(&self, report: &RunReport, record: &RunRecord) {
        self.tell(&report.summary.run_id, |lineage, settings| lineage.ended(report, &record.columns(&settings.name)))
            .await;
    }

    async fn tell(&self, run_id: &str, event: impl Fn(&Lineage<'_>, &ReportSettings) -> Value) {
        let (Some(targets), Some((settings, request))) = (&self.targets, &self.asked) else { return };
        // Reports that do not exist are told of by the run itself.
        let Ok::<_, Failure>(reports) = request.reports(settings) else { return };
        let events: Vec<Value> =
            reports.into_iter().map(|report| event(&Lineage { settings, report, run_id, targets }, report)).collect();
        if tokio::time::timeout(PATIENCE, targets.tell(&events)).await.is_err() {
            tracing::warn!(seconds = PATIENCE.as_secs(), "lineage takes too long: the rest was not told");
        }
    }
}
