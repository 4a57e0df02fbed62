//! One function a command: from arguments to a result that is shown, and an exit code.

use std::io::{ErrorKind, Write as _};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use cxlake_sinks::lake::Findings;
use futures::FutureExt as _;
use tracing::Instrument as _;

use super::arguments::{
    EmptyChoice, EngineChoice, Global, LoadCommand, PlanCommand, RunCommand, SchemaKind, SelectionArguments,
    SqlCommand, VacuumCommand, VerifyCommand,
};
use super::lineage::RunLineage;
use super::{examples, render, signals, telemetry};
use crate::cxone::Surroundings;
use crate::report::run_page;
use crate::run::summary::{RunStatus, Summary};
use crate::run::{
    self, Engine, Environment, LoadRequest, Metric, OpenWarehouses, RunRecord, RunReport, VacuumRequest,
    prometheus_text,
};
use crate::settings::{self, Settings, read_settings};
use crate::vocabulary::{Failure, FailureKind, NoProgress, Progress};

/// How long an interrupted process waits for warehouses to end what they do for it: with
/// [`INTERRUPTED_PATIENCE`], less than the ten seconds after which what stops a container kills it.
const CANCEL_PATIENCE: std::time::Duration = std::time::Duration::from_secs(6);

/// How long it waits for whoever is told of its end.
const INTERRUPTED_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) fn environment(progress: Arc<dyn Progress>) -> Environment {
    Environment {
        surroundings: Surroundings::default(),
        progress,
        run_id: super::RUN_ID.to_string(),
        warehouses: OpenWarehouses::default(),
    }
}

pub(super) fn read_configuration(path: &Path) -> Result<Settings, Failure> {
    let text = read_configuration_text(path)?;
    let surroundings =
        settings::Surroundings { variable: &|name| std::env::var(name).ok(), text_file: &read_secret_file };
    let name = path.display().to_string();
    let settings = read_settings(&name, &text, &surroundings)?;
    run::check_settings(&settings).map_err(|failure| settings::located(&name, &text, failure))?;
    Ok(settings)
}

pub(super) fn read_configuration_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::configuration(format!("read the configuration {}: {error}", path.display()))
            .hint("name it with --config or CXLAKE_CONFIG; `cxlake init` writes one")
    })
}

/// Reads the file of a secret, and says so where others can read it too.
fn read_secret_file(path: &str) -> std::io::Result<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            tracing::warn!(path, mode = format!("{mode:o}"), "others can read the file of a secret: chmod 600 it");
        }
    }
    std::fs::read_to_string(path)
}

pub(super) fn panicked() -> Failure {
    Failure::defect("go on: it panicked")
}

/// Shows what a command found, or why it failed.
pub(super) fn finish(outcome: Result<u8, Failure>) -> u8 {
    outcome.unwrap_or_else(|failure| {
        render::failure(&failure);
        failure.kind.exit_code()
    })
}

pub(super) async fn run(global: &Global, command: &RunCommand, progress: Option<Arc<dyn Progress>>) -> u8 {
    let environment = environment(progress.unwrap_or_else(|| Arc::new(NoProgress)));
    let record = RunRecord::new(&environment.run_id);
    let started_at = environment.now_text();
    let span = telemetry::root("cxlake run", &environment.run_id);
    let mut lineage = RunLineage::new(command.lineage_file.clone());
    let work = async {
        let settings = read_configuration(&global.config)?;
        let settings = command.share.into_iter().fold(settings, Settings::with_share);
        let request = command.span.request(&command.selection, command.skip_committed)?;
        lineage.begin(&settings, &request, &environment.run_id, &started_at).await;
        run::run(&settings, &request, &environment, &record).await;
        Ok::<(), Failure>(())
    };
    let mut summary = ended(work.instrument(span.clone()), &environment, &record).await;
    if command.empty == EmptyChoice::Skip {
        summary = summary.with_empty_skipped();
    }
    let report = RunReport::new(&record, summary, started_at.clone(), &environment);
    let metrics = metrics(run::metrics, &report, &environment, command.metrics_file.as_deref());
    let tell = async {
        tokio::join!(
            lineage.end(&report, &record),
            run::keep_run_report(&record, &report, &run_page),
            telemetry::end(span, &report.summary, metrics)
        )
    };
    while_patient(&report.summary, tell).await;
    show_summary(&report.summary, command.summary_file.as_deref())
}

/// Tells others of a run that is over, each with a patience of its own. An interrupted process has less
/// time, and a signal ends what is left.
async fn while_patient<T>(summary: &Summary, tell: impl Future<Output = T>) {
    let told = signals::unless_interrupted(async {
        match summary.status {
            RunStatus::Interrupted => tokio::time::timeout(INTERRUPTED_PATIENCE, tell).await.is_ok(),
            _ => {
                tell.await;
                true
            }
        }
    });
    if !matches!(told.await, Ok(true)) {
        tracing::warn!("the process is to end: not all were told of the run");
    }
}

/// What a run says in numbers, which is written to a file too where one is named.
fn metrics(
    make: fn(&RunReport, u64) -> Vec<Metric>,
    report: &RunReport,
    environment: &Environment,
    file: Option<&Path>,
) -> Vec<Metric> {
    let now = u64::try_from(environment.surroundings.clock.now().timestamp()).unwrap_or_default();
    let metrics = make(report, now);
    let mut text = prometheus_text(&metrics);
    // A pipe has nothing before it, and would be read for ever.
    let before = file.filter(|file| is_replaceable(file)).and_then(|file| std::fs::read_to_string(file).ok());
    text.extend(before.as_deref().and_then(|before| run::last_success_of(before, &metrics)));
    write_aside("metrics", file, &text);
    metrics
}

pub(super) async fn load(global: &Global, command: &LoadCommand) -> u8 {
    let environment = environment(Arc::new(NoProgress));
    let record = RunRecord::new(&environment.run_id);
    let started_at = environment.now_text();
    let span = telemetry::root("cxlake load", &environment.run_id);
    let work = async {
        let settings = read_configuration(&global.config)?;
        let request = LoadRequest {
            selection: command.selection.request(),
            days: command.days.days()?,
            warehouses: command.warehouses.iter().filter(|name| !name.is_empty()).cloned().collect(),
        };
        run::load(&settings, &request, &environment, &record).await;
        Ok::<(), Failure>(())
    };
    let summary = ended(work.instrument(span.clone()), &environment, &record).await;
    let report = RunReport::new(&record, summary, started_at, &environment);
    let metrics = metrics(run::load_metrics, &report, &environment, command.metrics_file.as_deref());
    while_patient(&report.summary, telemetry::end(span, &report.summary, metrics)).await;
    show_summary(&report.summary, command.summary_file.as_deref())
}

/// Works until it is done or interrupted: the summary, however it ended.
pub(super) async fn ended(
    work: impl Future<Output = Result<(), Failure>>,
    environment: &Environment,
    record: &RunRecord,
) -> Summary {
    match AssertUnwindSafe(signals::unless_interrupted(work)).catch_unwind().await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(failure))) => record.fail(failure),
        Ok(Err(interruption)) => {
            record.fail(interruption);
            let cancel = tokio::time::timeout(CANCEL_PATIENCE, environment.warehouses.cancel());
            let _given_up = signals::unless_interrupted(cancel).await;
        }
        Err(_) => record.fail(panicked()),
    }
    record.summary()
}

/// Writes what a run says to a file too, which never holds a part of it: others read it at any time. A
/// file that cannot be written fails no run.
fn write_aside(what: &str, file: Option<&Path>, text: &str) {
    let Some(file) = file else { return };
    if let Err(error) = write_whole(file, text) {
        render::error(
            &format!("failed to write the {what} to {}: {error}", file.display()),
            Some("the summary on stdout holds"),
        );
    }
}

fn write_whole(file: &Path, text: &str) -> std::io::Result<()> {
    let whole = || {
        // What a link points at is replaced, not the link.
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        let mut written = builder.prefix(".cxlake-").permissions(readable_by_all()).tempfile_in(folder)?;
        written.write_all(text.as_bytes())?;
        written.persist(&file)?;
        Ok::<(), std::io::Error>(())
    };
    if is_replaceable(file) {
        match whole() {
            Err(error) if can_only_be_written_over(&error) => {}
            outcome => return outcome,
        }
    }
    std::fs::write(file, text)
}

/// Whether a file is in a folder that is not ours, or is mounted by itself. On a disk that is full it would be lost.
fn can_only_be_written_over(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::ResourceBusy
            | ErrorKind::CrossesDevices
            | ErrorKind::Unsupported
    )
}

/// Whether it is a file of its own or not there yet: not a pipe or a device, by whatever name.
fn is_replaceable(file: &Path) -> bool {
    let is_special = |path: &Path| path.starts_with("/dev") || path.starts_with("/proc");
    !is_special(file) && std::fs::metadata(file).map_or(true, |metadata| metadata.is_file())
}

/// As a file that is simply written is, without what the umask takes.
fn readable_by_all() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

/// Shows the failure to people and the summary to programs: as the last line of stdout.
pub(super) fn show_summary(summary: &Summary, file: Option<&Path>) -> u8 {
    let line = serde_json::to_string(summary).unwrap_or_default();
    write_aside("summary", file, &format!("{line}\n"));
    if let Some(error) = &summary.error {
        render::error(&error.message, error.hint.as_deref());
    }
    render::last_line(&line);
    summary.exit_code
}

pub(super) async fn plan(global: &Global, command: &PlanCommand) -> u8 {
    let work = async {
        let settings = read_configuration(&global.config)?;
        let request = command.span.request(&command.selection, false)?;
        let environment = environment(Arc::new(NoProgress));
        run::plan(&settings, &request, &environment, !command.json).await
    };
    let outcome = signals::unless_interrupted(work).await.and_then(|planned| planned);
    finish(outcome.map(|planned| {
        if command.json {
            render::shards(&planned)
        } else {
            render::planned(&planned)
        }
        0
    }))
}

pub(super) async fn check(global: &Global, selection: &SelectionArguments) -> u8 {
    let work = async {
        let settings = read_configuration(&global.config)?;
        render::probe("configuration", &Ok(global.config.display().to_string()));
        run::check(&settings, &selection.request(), &environment(Arc::new(NoProgress))).await
    };
    let outcome = signals::unless_interrupted(work).await.and_then(|probes| probes);
    finish(outcome.map(|probes| {
        for probe in &probes {
            render::probe(&probe.name, &probe.outcome);
        }
        let failures = probes.iter().filter_map(|probe| probe.outcome.as_ref().err());
        failures.min_by_key(|failure| failure.kind.rank()).map_or(0, |failure| failure.kind.exit_code())
    }))
}

pub(super) async fn verify(global: &Global, command: &VerifyCommand) -> u8 {
    let mut findings = Findings::default();
    let work = async {
        let settings = read_configuration(&global.config)?;
        let (request, environment) = (command.selection.request(), environment(Arc::new(NoProgress)));
        run::verify(&settings, &request, command.sample, &environment, &mut findings).await
    };
    let outcome = signals::unless_interrupted(work).await.and_then(|outcome| outcome);
    if outcome.is_ok() || findings != Findings::default() {
        render::findings(&findings);
    }
    let found = if findings.findings.is_empty() { 0 } else { FailureKind::Mismatch.exit_code() };
    match outcome {
        Ok(()) => found,
        Err(failure) => finish(Err(failure)),
    }
}

pub(super) async fn vacuum(global: &Global, command: &VacuumCommand) -> u8 {
    let work = async {
        let settings = read_configuration(&global.config)?;
        let request = VacuumRequest {
            selection: command.selection.request(),
            older_than: TimeDelta::hours(i64::from(command.older_than_hours)),
            dry_run: command.dry_run,
        };
        run::vacuum(&settings, &request, &environment(Arc::new(NoProgress))).await
    };
    let outcome = signals::unless_interrupted(work).await.and_then(|removed| removed);
    finish(outcome.map(|removed| {
        render::leftovers(&removed, command.dry_run);
        0
    }))
}

pub(super) async fn sql(global: &Global, command: &SqlCommand) -> u8 {
    let engine = match command.engine {
        EngineChoice::DuckDb => Engine::DuckDb,
        EngineChoice::BigQuery => Engine::BigQuery,
        EngineChoice::Snowflake => Engine::Snowflake,
        EngineChoice::Athena => Engine::Athena,
    };
    let work = async { run::views(&read_configuration(&global.config)?, &command.selection.request(), engine).await };
    let outcome = signals::unless_interrupted(work).await.and_then(|views| views);
    finish(outcome.map(|views| {
        render::text(&views);
        0
    }))
}

pub(super) fn schema(of: Option<SchemaKind>) -> u8 {
    let Some(of) = of else {
        let all = [
            ("configuration", crate::schemas::CONFIGURATION),
            ("event", crate::schemas::EVENT),
            ("manifest", crate::schemas::MANIFEST),
            ("registry", crate::schemas::REGISTRY),
            ("run", crate::schemas::RUN),
            ("summary", crate::schemas::SUMMARY),
        ];
        let members: Vec<String> =
            all.iter().map(|(name, schema)| format!("\"{name}\": {}", schema.trim_end())).collect();
        render::text(&format!("{{{}}}\n", members.join(",\n")));
        return 0;
    };
    render::text(match of {
        SchemaKind::Columns => crate::schemas::STANDARD_COLUMNS,
        SchemaKind::Configuration => crate::schemas::CONFIGURATION,
        SchemaKind::Event => crate::schemas::EVENT,
        SchemaKind::Manifest => crate::schemas::MANIFEST,
        SchemaKind::Registry => crate::schemas::REGISTRY,
        SchemaKind::Run => crate::schemas::RUN,
        SchemaKind::Summary => crate::schemas::SUMMARY,
    });
    0
}

pub(super) fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut examples::command(), "cxlake", &mut script);
    render::text(&String::from_utf8_lossy(&script));
    0
}

pub(super) fn manual(folder: Option<&Path>) -> u8 {
    let command = examples::command();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        // Writing into memory does not fail.
        let _infallible = clap_mangen::Man::new(command).render(&mut page);
        render::text(&String::from_utf8_lossy(&page));
        return 0;
    };
    finish(clap_mangen::generate_to(command, folder).map(|()| 0).map_err(|error| {
        Failure::configuration(format!("write manual pages into {}: {error}", folder.display()))
            .hint("name a folder that is there and may be written to")
    }))
}
