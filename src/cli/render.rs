//! The only printing. stdout holds data, stderr what is for people.
use std::io::{ErrorKind, Write as _};
use std::sync::OnceLock;

use cxlake_sinks::lake::{Findings, Leftover};

use crate::run::PlannedRun;
use crate::vocabulary::Failure;

pub(super) fn failure(failure: &Failure) {
    error(&failure.to_string(), failure.hint.as_deref());
}

static JSON: OnceLock<()> = OnceLock::new();

/// Errors go into the log from now on, for stderr is read by a program.
pub(super) fn errors_as_json() {
    // It stays so once it is.
    let _already = JSON.set(());
}

pub(super) fn error(message: &str, hint: Option<&str>) {
    if JSON.get().is_some() {
        tracing::error!(hint, "{message}");
        return;
    }
    for_people(format_args!("error: {message}"));
    if let Some(hint) = hint {
        for_people(format_args!("hint: {hint}"));
    }
}

/// A line of stderr. Where that cannot be written there is nobody to tell.
fn for_people(text: std::fmt::Arguments<'_>) {
    let _untold = writeln!(std::io::stderr().lock(), "{text}");
}

/// Why the first part of stdout could not be written: nothing comes after it.
static UNWRITTEN: OnceLock<std::io::Error> = OnceLock::new();

fn write(text: std::fmt::Arguments<'_>) {
    if is_over() {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        // It was not set before.
        let _first = UNWRITTEN.set(error);
    }
}

/// Whether nothing more can be shown.
pub(super) fn is_over() -> bool {
    UNWRITTEN.get().is_some()
}

/// Why not all was shown that should be.
pub(super) fn unwritten() -> Option<Failure> {
    let error = UNWRITTEN.get().filter(|error| is_needed(error))?;
    Some(Failure::unavailable(format!("write to stdout: {error}")).hint("what is there of it is not whole"))
}

/// Whether what was not written is missed: not by a reader that is gone.
fn is_needed(unwritten: &std::io::Error) -> bool {
    unwritten.kind() != ErrorKind::BrokenPipe
}

/// A line of stdout.
fn line(text: std::fmt::Arguments<'_>) {
    write(format_args!("{text}\n"));
}

/// The last line of stdout: nothing may come after it, on stderr neither, for some read both as one.
pub(super) fn last_line(text: &str) {
    super::logging::end();
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    // What the run did stands all the same, and so does its exit code.
    if let Err(unwritten) = written
        && is_needed(&unwritten)
    {
        for_people(format_args!("error: failed to write the summary to stdout: {unwritten}"));
        for_people(format_args!("hint: --summary-file writes it into a file too"));
    }
}

pub(super) fn text(text: &str) {
    write(format_args!("{text}"));
}

pub(super) fn probe(name: &str, outcome: &Result<String, Failure>) {
    match outcome {
        Ok(seen) => line(format_args!("ok    {name}: {seen}")),
        Err(failure) => {
            line(format_args!("FAIL  {name}: {failure}"));
            if let Some(hint) = &failure.hint {
                line(format_args!("      hint: {hint}"));
            }
        }
    }
}

pub(super) fn findings(findings: &Findings) {
    for note in &findings.notes {
        line(format_args!("note     {note}"));
    }
    for finding in &findings.findings {
        line(format_args!("FINDING  {finding}"));
    }
    line(format_args!(
        "{} windows, {} objects read, {} accepted rows, {} findings",
        findings.windows,
        findings.objects,
        findings.rows,
        findings.findings.len()
    ));
}

pub(super) fn leftovers(leftovers: &[Leftover], dry_run: bool) {
    let removed = if dry_run { "would remove" } else { "removed" };
    for Leftover { kind, key, bytes, modified } in leftovers {
        let (kind, modified) = (kind.name(), modified.format("%Y-%m-%dT%H:%M:%SZ"));
        line(format_args!("{removed}  {key}  ({kind}, {bytes} bytes, of {modified})"));
    }
    line(format_args!("{removed} {}", leftovers.len()));
}

pub(super) fn shards(planned: &PlannedRun) {
    let shards: Vec<_> = planned.windows.iter().map(|window| &window.shard).collect();
    line(format_args!("{}", serde_json::to_string(&shards).unwrap_or_default()));
}

pub(super) fn planned(planned: &PlannedRun) {
    for window in &planned.windows {
        let shard = &window.shard;
        let records = window
            .records
            .map_or("records not counted".to_owned(), |records| format!("{records} records in {} pages", window.pages));
        let state = if window.is_committed { "replaces" } else { "writes" };
        let (start, end) = (shard.window.start.format("%FT%TZ"), shard.window.end.format("%FT%TZ"));
        let settles = window.settles_at.map(|at| format!(", not before {}", at.format("%FT%TZ"))).unwrap_or_default();
        line(format_args!(
            "{} {} {start} to {end}: {records}, {state} {}{settles}",
            shard.tenant, shard.report, window.data
        ));
    }
    for change in &planned.registry_changes {
        line(format_args!("registry {change}"));
    }
    for event in &planned.drift {
        line(format_args!("drift {}", event.detail));
    }
    for (tenant, quota) in &planned.quotas {
        let reset = quota.reset_at.as_deref().map(|reset| format!(", until {reset}")).unwrap_or_default();
        line(format_args!("quota {tenant}: {} of {} calls left{reset}", quota.remaining, quota.limit));
    }
    let likely = if planned.estimated { " (estimated from the first windows)" } else { "" };
    line(format_args!(
        "{} windows, {} calls{likely}, at least {:.0} s at the configured pace: not before {}",
        planned.windows.len(),
        planned.calls,
        planned.expected_seconds,
        planned.expected_end.format("%FT%TZ")
    ));
}

/// A line of JSON.
pub(super) fn json_line<T: serde::Serialize>(value: &T) {
    line(format_args!("{}", serde_json::to_string(value).unwrap_or_default()));
}
