//! SIGINT, SIGTERM, and SIGHUP, which comes when a terminal is gone.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use crate::vocabulary::{Failure, FailureKind};

/// Runs `work` to its end, or drops it where it stands when a signal comes: whatever it has
/// published by then is whole, and whatever it has not is not visible.
///
/// # Errors
/// The interruption.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::unavailable(format!("listen for signals: {error}")));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = if hangups_are_ignored() { None } else { Some(listen(SignalKind::hangup())?) };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => std::future::pending().await,
        }
    };
    let stopped = |kind, name: &str| {
        Err(Failure::new(kind, format!("go on: {name} came"))
            .hint("run it again: windows that are committed stay, the others are read again"))
    };
    tokio::select! {
        outcome = work => Ok(outcome),
        _ = interrupt.recv() => stopped(FailureKind::Interrupted, "SIGINT"),
        _ = terminate.recv() => stopped(FailureKind::Terminated, "SIGTERM"),
        _ = hung_up => stopped(FailureKind::Terminated, "SIGHUP"),
    }
}

/// Whether who began this process wants it to outlive its terminal, as `nohup` does; where nobody can tell, so does the
/// system what it always did. Listening would change that.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_none_or(|mask| mask & 1 != 0)
}
