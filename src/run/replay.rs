//! Rejects tried again under the registry's newest (or a named) rules, into the windows that they
//! came from, by the same commit as a run's.

use std::path::Path;
use std::sync::Arc;

use cxlake_sinks::lake::{Committed, Done, Extract, ObjectKind, Plan, Promise, ReplayProof, WindowCommit};
use cxlake_sinks::parquet::{ParquetOptions, ParquetWriter, read_parquet};
use tempfile::NamedTempFile;

use super::committed::{self, CommittedDays, CommittedWindow};
use super::continuation::concerns_one_window;
use super::preflight::{Preflight, compile_plan};
use super::registry_review::read_or_newest;
use super::registry_store::RegistryStore;
use super::summary::{WindowFailure, WindowOutcome, WindowStatus};
use super::window_files::{Contents, WindowIdentity};
use super::work_folder::WorkFolder;
use super::{Environment, RunRecord, RunRequest};
use crate::columns::{ColumnSum, DecodePlan, RejectReplay, Replayed, quarantine_schema};
use crate::registry::RegistryVersion;
use crate::settings::Settings;
use crate::vocabulary::{Failure, FailureKind, RowCounts};

/// What to replay, and how.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// Tenants and reports; its span is not used.
    pub selection: RunRequest,
    /// The days of the windows.
    pub days: CommittedDays,
    /// The registry version whose rules are tried; the newest where none is given.
    pub registry: Option<u32>,
    /// Tries, and writes nothing.
    pub dry_run: bool,
}

/// The rules that rejects of a tenant are tried under.
struct Rules {
    newest: RegistryVersion,
    tried: RegistryVersion,
}

/// Tries the rejects of committed windows again. The tenant is not called. Whatever happens stands
/// in `record`.
pub async fn replay(settings: &Settings, request: &ReplayRequest, environment: &Environment, record: &RunRecord) {
    if let Err(failure) = replay_windows(settings, request, environment, record).await {
        record.fail(failure);
    }
}

async fn replay_windows(
    settings: &Settings,
    request: &ReplayRequest,
    environment: &Environment,
    record: &RunRecord,
) -> Result<(), Failure> {
    let there = Preflight::open_existing(settings).await?;
    let preflight = if request.dry_run { there } else { Preflight::open(settings)? };
    let windows = committed::find(settings, &request.selection, request.days, &preflight.lake).await?;
    let indices: Vec<usize> = windows
        .iter()
        .map(|found| {
            let report = found.report;
            record.update(|builder| builder.add_window(&report.tenant, &report.name, &found.window, found.time_zone))
        })
        .collect();
    for (found, index) in windows.iter().zip(indices) {
        record.update(|builder| builder.window_begun(index));
        let replay = WindowReplay { settings, preflight: &preflight, request, environment, found };
        match replay.run().await {
            Ok(outcome) => record.update(|builder| builder.window_done(index, outcome)),
            Err(fault) => {
                let goes_on = concerns_one_window(fault.failure.kind);
                record.update(|builder| builder.window_failed(index, fault));
                if !goes_on {
                    break;
                }
            }
        }
    }
    Ok(())
}

struct WindowReplay<'a> {
    settings: &'a Settings,
    preflight: &'a Preflight,
    request: &'a ReplayRequest,
    environment: &'a Environment,
    found: &'a CommittedWindow<'a>,
}

impl WindowReplay<'_> {
    /// Replays that meet never plan from one basis: one that finds another's plan open completes
    /// that one first, for else what each moved could be in neither object after a crash.
    async fn run(&self) -> Result<WindowOutcome, WindowFailure> {
        let CommittedWindow { address, done, history, .. } = self.found;
        let commit = WindowCommit { lake: &self.preflight.lake, address };
        match commit.open_plan(history).await? {
            None if history.settled().is_some() => self.replay(&commit, done, history.next_sequence()).await,
            Some(open) if !open.replays.is_empty() && !self.request.dry_run => {
                let completed = self.complete(&commit, &open).await?;
                let again = self.replay(&commit, &completed.done, open.sequence + 1).await?;
                // What the first one moved is in the window too.
                Ok(WindowOutcome { restated: true, status: self.outcome(&completed).status, ..again })
            }
            _ => Err(self.half_replaced("run the window again, then replay it").into()),
        }
    }

    /// Tries the rejects of a committed pair.
    async fn replay(
        &self,
        commit: &WindowCommit<'_>,
        done: &Done,
        sequence: u32,
    ) -> Result<WindowOutcome, WindowFailure> {
        let lake = &self.preflight.lake;
        let as_before = WindowOutcome::of(done, WindowStatus::Unchanged, lake.uri(&commit.manifest(done)));
        if done.quarantine.proof.rows == 0 {
            return Ok(as_before);
        }
        let newest = read_or_newest(&self.registry()?, None).await?;
        if newest.version < done.registry_version {
            return Err(Failure::configuration(format!(
                "replay the window {}: its rows are of registry version {}, the newest is {}",
                self.found.address.window, done.registry_version, newest.version
            ))
            .hint("the registry is not the one that the window was written under: check registry_url")
            .into());
        }
        let rules = self.rules(newest, self.request.registry).await?;
        let folder = WorkFolder::create()?;
        let pair = self.fetch(commit, folder.path(), &Promise::from(done.clone())).await?;
        let (replayed, contents) = self.rewrite(pair, folder.path(), &rules, &self.environment.run_id).await?;
        self.tell(&replayed);
        if replayed.moved() == 0 || self.request.dry_run {
            return Ok(WindowOutcome { rejects: replayed.remaining, ..as_before });
        }
        let (plan, extract) = self.identity(&rules).finish(contents, sequence, self.environment).await?;
        let committed = commit.commit(&plan, &extract, || self.environment.now_text()).await?;
        Ok(WindowOutcome { restated: true, rejects: replayed.remaining, ..self.outcome(&committed) })
    }

    /// Builds again what an open plan promises, and publishes what of it is not there.
    async fn complete(&self, commit: &WindowCommit<'_>, open: &Plan) -> Result<Committed, Failure> {
        let again = "run the window again, then replay it";
        let last = open.replays.last().ok_or_else(|| self.half_replaced(again))?;
        let basis = commit.read_done(last.of_sequence).await?.ok_or_else(|| self.half_replaced(again))?;
        let store = self.registry()?;
        let rules = self.rules(store.read(open.registry_version).await?, Some(last.registry_version)).await?;
        let folder = WorkFolder::create()?;
        tracing::warn!(
            window = self.found.address.window,
            run_id = last.run_id,
            "completing a replay that was interrupted"
        );
        let quarantine = commit.fetch(ObjectKind::Quarantine, folder.path()).await?;
        if quarantine.promise.sequence == open.sequence {
            let data = commit.fetch(ObjectKind::Data, folder.path()).await?;
            let extract = Extract { data: data.file, quarantine: quarantine.file };
            return Ok(commit.complete(open, &extract, || self.environment.now_text()).await?);
        }
        let pair = self.fetch(commit, folder.path(), &Promise::from(basis)).await?;
        let (_, contents) = self.rewrite(pair, folder.path(), &rules, &last.run_id).await?;
        let (plan, extract) = self.identity(&rules).finish(contents, open.sequence, self.environment).await?;
        if (&plan.data, &plan.quarantine) != (&open.data, &open.quarantine) {
            return Err(self.half_replaced("its replay cannot be made again: run the window again, then replay it"));
        }
        Ok(commit.complete(open, &extract, || self.environment.now_text()).await?)
    }

    /// The pair that `basis` promises. Where a replay was interrupted, the rejects that it moved are
    /// still where it began (its data goes first), and its data begins with the rows of then.
    async fn fetch(&self, commit: &WindowCommit<'_>, folder: &Path, basis: &Promise) -> Result<StoredPair, Failure> {
        let quarantine = commit.fetch(ObjectKind::Quarantine, folder).await?;
        let data = commit.fetch(ObjectKind::Data, folder).await?;
        let began_from = data.promise.replays.last().map(|replay| replay.of_sequence);
        let is_of_basis = quarantine.promise.sequence == basis.sequence;
        if !is_of_basis || (data.promise.sequence != basis.sequence && began_from != Some(basis.sequence)) {
            return Err(self.half_replaced("it is being replaced: replay it again"));
        }
        Ok(StoredPair { basis: basis.clone(), data: data.file.file, quarantine: quarantine.file.file })
    }

    fn half_replaced(&self, hint: &'static str) -> Failure {
        Failure::new(
            FailureKind::Superseded,
            format!("replay the window {}: it may be half replaced", self.found.address.window),
        )
        .hint(hint)
    }

    fn outcome(&self, committed: &Committed) -> WindowOutcome {
        let manifest = self.preflight.lake.uri(&committed.manifest);
        WindowOutcome::of(&committed.done, WindowStatus::Committed, manifest)
    }

    fn identity<'a>(&'a self, rules: &Rules) -> WindowIdentity<'a> {
        WindowIdentity {
            tenant: &self.found.report.tenant,
            report: &self.found.report.name,
            window: self.found.window,
            time_zone: self.found.time_zone.name(),
            registry_version: rules.newest.version,
        }
    }

    fn registry(&self) -> Result<RegistryStore, Failure> {
        self.preflight.registry(self.settings, &self.found.report.tenant)
    }

    async fn rules(&self, newest: RegistryVersion, tried: Option<u32>) -> Result<Rules, Failure> {
        let tried = match tried {
            Some(number) if number != newest.version => self.registry()?.read(number).await?,
            _ => newest.clone(),
        };
        Ok(Rules { newest, tried })
    }

    /// The newest version's columns, for files hold every column that is known; the tried one's rules.
    fn plan(&self, rules: &Rules) -> Result<DecodePlan, Failure> {
        let report = self.found.report;
        let columns = |version: &RegistryVersion| {
            version.reports.get(&report.name).cloned().ok_or_else(|| {
                Failure::configuration(format!(
                    "replay reports.{}: version {} of the registry does not hold it",
                    report.name, version.version
                ))
                .hint("`cxlake registry list` shows the versions; `cxlake registry sync` makes one that holds it")
            })
        };
        let columns = columns(&rules.newest)?.under(&columns(&rules.tried)?);
        compile_plan(report, &columns, rules.tried.version)
    }

    /// Builds both files again.
    async fn rewrite(
        &self,
        pair: StoredPair,
        folder: &Path,
        rules: &Rules,
        run_id: &str,
    ) -> Result<(Replayed, Contents), Failure> {
        let basis = pair.basis.clone();
        let plan = Arc::new(self.plan(rules)?);
        let options = self.preflight.parquet(self.found.report);
        let sums: Vec<ColumnSum> = basis
            .sums
            .iter()
            .map(|sum| ColumnSum { column: sum.column.clone(), values: sum.values, sum: sum.sum.clone() })
            .collect();
        let accepted = basis.rows.accepted;
        let replay = RejectReplay::new(Arc::clone(&plan), self.found.window, accepted, &sums, &basis.extract_sha256);
        let folder = folder.to_owned();
        let work = move || rewrite_files(replay, &plan, &pair, &folder, &options);
        let (replayed, data, quarantine) = tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| Failure::defect(format!("write the window's files again: {error}")))??;
        let proof = ReplayProof {
            run_id: run_id.to_owned(),
            of_sequence: basis.sequence,
            registry_version: rules.tried.version,
            accepted: replayed.accepted,
            duplicates: replayed.duplicates,
        };
        let contents = Contents {
            data,
            quarantine,
            rows: RowCounts {
                expected: basis.rows.expected,
                fetched: basis.rows.fetched,
                accepted: basis.rows.accepted + replayed.accepted,
                quarantined: basis.rows.quarantined - replayed.moved(),
                duplicates: basis.rows.duplicates + replayed.duplicates,
            },
            sums: replayed.sums.clone(),
            pages: basis.pages.clone(),
            extract_sha256: replayed.extract_sha256.clone(),
            replays: basis.replays.into_iter().chain([proof]).collect(),
        };
        Ok((replayed, contents))
    }

    /// What was found, for the log.
    fn tell(&self, replayed: &Replayed) {
        let window = &self.found.address.window;
        let Replayed { accepted, duplicates, remaining, .. } = replayed;
        let dry_run = self.request.dry_run;
        tracing::info!(
            report = self.found.report.name,
            window,
            accepted,
            duplicates,
            dry_run,
            "rejects were tried again"
        );
        for ((rule, path), count) in remaining {
            tracing::info!(report = self.found.report.name, window, rule, path, count, "rejects that stay");
        }
    }
}

/// What a window's replay begins from.
struct StoredPair {
    basis: Promise,
    /// The rows of the basis, and maybe more after them.
    data: NamedTempFile,
    quarantine: NamedTempFile,
}

fn rewrite_files(
    mut replay: RejectReplay,
    plan: &DecodePlan,
    pair: &StoredPair,
    folder: &Path,
    options: &ParquetOptions,
) -> Result<(Replayed, ParquetWriter, ParquetWriter), Failure> {
    let defect = |error| Failure::defect(format!("try rejects again: {error}"));
    let mut new_data = ParquetWriter::create(folder, Arc::clone(plan.schema()), options)?;
    let mut new_quarantine = ParquetWriter::create(folder, quarantine_schema(), options)?;
    let mut to_come = usize::try_from(pair.basis.rows.accepted).unwrap_or(usize::MAX);
    for batch in read_parquet(pair.data.path(), None)? {
        let batch = batch?;
        let batch = batch.slice(0, batch.num_rows().min(to_come));
        to_come -= batch.num_rows();
        new_data.write(&replay.accepted(&batch)?)?;
    }
    let mut rows = Vec::new();
    for batch in read_parquet(pair.quarantine.path(), None)? {
        let stays = replay.rejected(&batch?, &mut rows).map_err(defect)?;
        if stays.num_rows() > 0 {
            // The schema of the file itself, whose fields have their ids.
            let stays = stays.with_schema(quarantine_schema()).map_err(defect)?;
            new_quarantine.write(&stays)?;
        }
        for batch in rows.drain(..) {
            new_data.write(&batch)?;
        }
    }
    let replayed = replay.finish(&mut rows).map_err(defect)?;
    for batch in rows {
        new_data.write(&batch)?;
    }
    Ok((replayed, new_data, new_quarantine))
}
