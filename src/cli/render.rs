//! The only printing. stdout holds data, stderr what is for people.
#![expect(clippy::print_stderr, reason = "this is the one place that prints")]

use std::io::Write as _;
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
    eprintln!("error: {message}");
    if let Some(hint) = hint {
        eprintln!("hint: {hint}");
    }
}

/// A line of stdout. A reader that is gone needs no more of them.
fn line(text: std::fmt::Arguments<'_>) {
    let _unread = writeln!(std::io::stdout().lock(), "{text}");
}

/// The last line of stdout: nothing may come after it, on stderr neither, for some read both as one.
pub(super) fn last_line(line: &str) {
    super::logging::end();
    let mut stdout = std::io::stdout().lock();
    // A reader that is gone needs no summary.
    let _unread = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

pub(super) fn text(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _unread = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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
        line(format_args!("{} {} {start} to {end}: {records}, {state} {}", shard.tenant, shard.report, window.data));
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
