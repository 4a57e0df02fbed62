//! One window: look, extract, gate, commit.

use std::sync::Arc;

use cxlake_sinks::lake::{Done, WindowCommit};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::baseline::compare;
use super::baseline_source::{BaselineFile, aggregate};
use super::drift::unknown_key_detail;
use super::preflight::{Preflight, TenantReady};
use super::run_report::StageMilliseconds;
use super::summary::{WindowFailure, WindowOutcome, WindowStatus};
use super::window_files::{Contents, WindowIdentity, pages_proof};
use super::work_folder::WorkFolder;
use super::{Environment, RunRequest};
use crate::columns::Typed;
use crate::cxone::Client;
use crate::extraction::PagingLimits;
use crate::pipeline::{ExtractedWindow, StageTimes, WindowFault, WindowJob, extract_window};
use crate::settings::ReportSettings;
use crate::settings::limits::{COUNTED_UNKNOWN_KEYS, IN_FLIGHT_BYTES, WINDOW_REREADS};
use crate::vocabulary::{DriftEvent, DriftKind, Failure, FailureKind, RejectTally, RowCounts};
use crate::window::Window;

/// What a window's run works with.
pub(super) struct WindowRun<'a> {
    pub(super) preflight: &'a Preflight,
    pub(super) client: &'a Client,
    pub(super) ready: &'a TenantReady,
    pub(super) report: &'a ReportSettings,
    pub(super) window: Window,
    pub(super) request: &'a RunRequest,
    pub(super) environment: &'a Environment,
}

/// What was seen while a window was read.
#[derive(Debug, Default)]
struct Read {
    drift: Vec<DriftEvent>,
    rejects: RejectTally,
    stages: Option<StageMilliseconds>,
}

pub(super) async fn run_window(run: &WindowRun<'_>) -> Result<WindowOutcome, WindowFailure> {
    let label = format!("{} {} {}", run.report.tenant, run.report.name, run.window.name());
    let progress = &run.environment.progress;
    progress.window_started(&label);
    let span = tracing::info_span!(
        "window",
        tenant = run.report.tenant,
        report = run.report.name,
        window = run.window.name(),
        status = Empty,
        fetched = Empty,
        accepted = Empty,
        quarantined = Empty,
        duplicates = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty
    );
    let outcome = run.run().instrument(span.clone()).await;
    match &outcome {
        Ok(WindowOutcome { status, rows, .. }) => {
            span.record("status", status.name())
                .record("fetched", rows.fetched.cast_signed())
                .record("accepted", rows.accepted.cast_signed());
            span.record("quarantined", rows.quarantined.cast_signed())
                .record("duplicates", rows.duplicates.cast_signed());
        }
        Err(fault) => {
            span.record("otel.status_code", "ERROR");
            span.record("otel.status_description", fault.failure.to_string());
        }
    }
    let ended = outcome.as_ref().map_or(WindowStatus::Failed, |outcome| outcome.status);
    progress.window_finished(&format!("{label} {}", ended.name()));
    if let Ok(outcome) = &outcome {
        let RowCounts { fetched, accepted, quarantined, duplicates, .. } = outcome.rows;
        let status = outcome.status.name();
        tracing::info!(window = label, status, fetched, accepted, quarantined, duplicates, "window ended");
    }
    outcome
}

impl WindowRun<'_> {
    fn identity(&self) -> WindowIdentity<'_> {
        WindowIdentity {
            tenant: &self.report.tenant,
            report: &self.report.name,
            window: self.window,
            time_zone: self.ready.time_zone.name(),
            registry_version: self.ready.registry.version,
        }
    }

    async fn run(&self) -> Result<WindowOutcome, WindowFailure> {
        let address = self.identity().address();
        let lake = &self.preflight.lake;
        let commit = WindowCommit { lake, address: &address };
        let before = commit.look().await?;
        if self.request.skip_committed
            && let Some(done) = before.settled()
        {
            return Ok(outcome_of(done, WindowStatus::Unchanged, lake.uri(&commit.manifest(done)), Read::default()));
        }
        commit.refuse_published_in_the_same_time(&before).await?;
        let folder = WorkFolder::create()?;
        let extracted = self.extract_stable(folder.path()).await?;
        let read = Read {
            drift: self.unknown_keys(&extracted.typed),
            rejects: extracted.typed.rejects.clone(),
            stages: Some(StageMilliseconds::of(&extracted.times)),
        };
        let rows = counts(&extracted);
        if !rows.balance() {
            return Err(WindowFailure { failure: does_not_balance(rows), rows: Some(rows), drift: read.drift });
        }
        let gated = match self.baseline(&extracted.typed).await {
            Ok(()) => self.gate(extracted, rows),
            Err(failure) if failure.kind == FailureKind::Quality => Err(self.keeping_rejects(extracted, failure)),
            Err(failure) => Err(failure),
        };
        let drift = read.drift.clone();
        let extracted = gated.map_err(|failure| WindowFailure { failure, rows: Some(rows), drift })?;
        let history = commit.look().await?;
        if let Some(done) = history.settled()
            && done.extract_sha256 == extracted.typed.extract_sha256
            && commit.is_in_place(done).await?
        {
            return Ok(outcome_of(done, WindowStatus::Unchanged, lake.uri(&commit.manifest(done)), read));
        }
        commit.refuse_published_in_the_same_time(&history).await?;
        // Whoever planned while this run read the window may have read it later than this run did.
        let sequence = before.next_sequence();
        if history.next_sequence() != sequence {
            return Err(self.overtaken().into());
        }
        let ExtractedWindow { typed, data, quarantine, .. } = extracted;
        let Typed { sums, pages, extract_sha256, .. } = typed;
        let pages = pages_proof(&pages);
        let contents = Contents { data, quarantine, rows, sums, pages, extract_sha256, replays: Vec::new() };
        let (plan, extract) = self.identity().finish(contents, sequence, self.environment).await?;
        let committing = commit.commit(&plan, &extract, || self.environment.now_text());
        let committed = committing.instrument(tracing::info_span!("commit")).await?;
        let restated = history.newest_done.is_some_and(|before| before.extract_sha256 != committed.done.extract_sha256);
        let outcome = outcome_of(&committed.done, WindowStatus::Committed, lake.uri(&committed.manifest), read);
        Ok(WindowOutcome { restated, ..outcome })
    }

    fn overtaken(&self) -> Failure {
        let (window, report) = (self.window.name(), &self.report.name);
        Failure::new(
            FailureKind::Superseded,
            format!("commit the window {window} of reports.{report}: another run has planned it meanwhile"),
        )
        .hint("what that run read may be newer, so nothing was published; run it again if that run failed")
    }

    /// Extracts the window; again where its data moved while it was paged. Duplicates may be a sign
    /// of that too: the same ones twice are the tenant's own.
    async fn extract_stable(&self, folder: &std::path::Path) -> Result<ExtractedWindow, Failure> {
        let mut seen: Vec<String> = Vec::new();
        let mut extract_before = None;
        for _ in 0..=WINDOW_REREADS {
            match self.extract(folder).await {
                Ok(extracted) => {
                    let same_as_before = extract_before.as_ref() == Some(&extracted.typed.extract_sha256);
                    let repeated = repeated_keys(&extracted.typed);
                    if repeated == 0 || same_as_before {
                        return Ok(extracted);
                    }
                    seen.push(format!("{repeated} records with a key that was there before"));
                    extract_before = Some(extracted.typed.extract_sha256);
                }
                Err(WindowFault::Unstable(reason)) => seen.push(reason),
                Err(WindowFault::Failed(failure)) => return Err(failure),
                Err(WindowFault::Disk(failure)) => return Err(failure.into()),
            }
            tracing::warn!(
                window = self.window.name(),
                reason = seen.last(),
                "the data may have moved: reading the window again"
            );
        }
        Err(Failure::incomplete(format!(
            "read the window {} of reports.{} whole: {}",
            self.window.name(),
            self.report.name,
            seen.join("; ")
        ))
        .hint("its data moves while it is read: run it again later, or raise settle_delay_mins"))
    }

    async fn extract(&self, folder: &std::path::Path) -> Result<ExtractedWindow, WindowFault> {
        let reader = self.ready.reader(self.client, self.report, &self.window);
        let (plan, reader) = reader.map_err(WindowFault::Failed)?;
        let job = WindowJob {
            window: self.window,
            time_zone: self.ready.time_zone.name().to_owned(),
            plan: Arc::new(plan),
            parquet: self.preflight.parquet(self.report),
            folder: folder.to_owned(),
            paging: self.paging(),
            progress: Arc::clone(&self.environment.progress),
            clock: Arc::clone(&self.environment.surroundings.clock),
        };
        let extracted = extract_window(Arc::new(reader), job).instrument(tracing::info_span!("extract")).await?;
        self.tell_times(&extracted.times);
        Ok(extracted)
    }

    /// Which stage the others waited for: the first to make faster.
    fn tell_times(&self, times: &StageTimes) {
        let times = StageMilliseconds::of(times);
        tracing::info!(
            window = self.window.name(),
            fetching_ms = times.fetching,
            fetching_waits_for_typing_ms = times.fetching_waits_for_typing,
            typing_ms = times.typing,
            typing_waits_for_pages_ms = times.typing_waits_for_pages,
            typing_waits_for_writing_ms = times.typing_waits_for_writing,
            writing_ms = times.writing,
            writing_waits_for_batches_ms = times.writing_waits_for_columns,
            "window extracted"
        );
    }

    fn paging(&self) -> PagingLimits {
        PagingLimits {
            page_records: self.report.page_records,
            pages_in_flight: self.client.pages_in_flight(),
            in_flight_bytes: IN_FLIGHT_BYTES,
            max_window_records: self.report.max_window_records,
            check_overlap: self.report.paging_check,
        }
    }

    /// Too many rejects: nothing is published, and they are kept for a person to look at.
    fn gate(&self, extracted: ExtractedWindow, rows: RowCounts) -> Result<ExtractedWindow, Failure> {
        let most = self.report.policy.max_quarantined_percent;
        if rows.quarantined_percent() <= most {
            return Ok(extracted);
        }
        let worst = extracted.typed.rejects.iter().max_by_key(|(_, count)| **count);
        let worst =
            worst.map(|((rule, path), count)| format!("; most often {rule} at {path:?}: {count}")).unwrap_or_default();
        let failure = Failure::new(
            FailureKind::Quality,
            format!(
                "accept the window {} of reports.{}: {} of {} records were rejected ({:.2} %, at most {most} %){worst}",
                self.window.name(),
                self.report.name,
                rows.quarantined,
                rows.fetched,
                rows.quarantined_percent()
            ),
        );
        Err(self.keeping_rejects(extracted, failure.hint("policy.max_quarantined_percent sets the limit")))
    }

    /// Nothing is published, and the rejects are kept for a person to look at.
    fn keeping_rejects(&self, extracted: ExtractedWindow, failure: Failure) -> Failure {
        let key_values = self.identity().key_values(0, &extracted.typed.extract_sha256);
        let staged = match extracted.quarantine.finish(&key_values) {
            Ok(staged) => staged,
            Err(error) => return error.into(),
        };
        let target = std::env::temp_dir().join(format!(
            "cxlake-rejects-{}-{}-{}.parquet",
            self.report.name,
            self.window.name(),
            self.environment.run_id
        ));
        let kept = match staged.file.persist_noclobber(&target) {
            Ok(_) => format!("the rejects are in {}", target.display()),
            Err(error) => format!("the rejects could not be kept: {}", error.error),
        };
        let hint = match &failure.hint {
            Some(hint) => format!("{kept}; {hint}"),
            None => kept,
        };
        failure.hint(hint)
    }

    /// Holds the window's totals against the report's baseline, where it has one.
    async fn baseline(&self, typed: &Typed) -> Result<(), Failure> {
        let Some(settings) = &self.report.baseline else { return Ok(()) };
        let columns = self.ready.columns(self.report)?;
        let totals = match &settings.file {
            Some(file) => BaselineFile::read(file)?.totals(&self.window, self.report.window, settings, columns)?,
            None => {
                let reader = self.ready.totals_reader(self.client, self.report, &self.window)?;
                aggregate(reader, self.paging(), Arc::clone(&self.environment.surroundings.clock)).await?
            }
        };
        let doing =
            format!("hold the window {} of reports.{} against its baseline", self.window.name(), self.report.name);
        compare(&doing, typed, columns, &totals, settings)
    }

    fn unknown_keys(&self, typed: &Typed) -> Vec<DriftEvent> {
        let event = |(pointer, (records, first)): (&String, &(u64, u64))| DriftEvent {
            tenant: self.report.tenant.clone(),
            kind: DriftKind::UnknownKey,
            id: pointer.clone(),
            detail: unknown_key_detail(pointer, *records, &self.window.name(), *first),
            registry_version: None,
            report: Some(self.report.name.clone()),
            records: Some(*records),
            first_window: Some(self.window.name()),
            first_record: Some(*first),
        };
        let events: Vec<DriftEvent> = typed.unknown_keys.iter().map(event).collect();
        if events.len() == COUNTED_UNKNOWN_KEYS {
            tracing::warn!(
                report = self.report.name,
                "drift: {COUNTED_UNKNOWN_KEYS} unknown keys are told, and no more: there may be others"
            );
        }
        for event in &events {
            tracing::warn!(
                report = self.report.name,
                key = event.id,
                records = event.records,
                "drift: {}",
                event.detail
            );
        }
        events
    }
}

fn outcome_of(done: &Done, status: WindowStatus, manifest: String, read: Read) -> WindowOutcome {
    let Read { drift, rejects, stages } = read;
    WindowOutcome { drift, rejects, stages, ..WindowOutcome::of(done, status, manifest) }
}

fn counts(extracted: &ExtractedWindow) -> RowCounts {
    RowCounts {
        expected: extracted.expected,
        fetched: extracted.typed.fetched,
        accepted: extracted.typed.accepted,
        quarantined: extracted.typed.quarantined,
        duplicates: extracted.typed.duplicates,
    }
}

fn does_not_balance(rows: RowCounts) -> Failure {
    Failure::incomplete(format!(
        "account for every record: {} expected, {} fetched, {} accepted, {} quarantined, {} duplicates",
        rows.expected, rows.fetched, rows.accepted, rows.quarantined, rows.duplicates
    ))
    .hint("nothing was published; run it again")
}

/// Records whose key was there before: the tenant's own, or a page that moved.
fn repeated_keys(typed: &Typed) -> u64 {
    let conflicts = typed.rejects.iter().filter(|((rule, _), _)| rule == "duplicate_key");
    typed.duplicates + conflicts.map(|(_, count)| count).sum::<u64>()
}
