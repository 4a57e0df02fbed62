//! SIGINT and SIGTERM.

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
    let stopped = |kind, name: &str| {
        Err(Failure::new(kind, format!("go on: {name} came"))
            .hint("run it again: windows that are committed stay, the others are read again"))
    };
    tokio::select! {
        outcome = work => Ok(outcome),
        _ = interrupt.recv() => stopped(FailureKind::Interrupted, "SIGINT"),
        _ = terminate.recv() => stopped(FailureKind::Terminated, "SIGTERM"),
    }
}
