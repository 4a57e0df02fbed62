//! The operator's alerts: a command or a webhook gets each drift event as JSON. Whatever happens to
//! an alert, the run goes on.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::post::post;
use super::registry_store::RecordedEvent;
use crate::settings::limits::{ALERT_BUDGET_SECS, ALERT_TIMEOUT_SECS};
use crate::settings::{AlertSettings, Settings};

/// Where alerts go.
pub(super) struct Alerts<'a> {
    settings: &'a AlertSettings,
}

impl<'a> Alerts<'a> {
    /// `None` where nobody wants any.
    pub(super) fn of(settings: &'a Settings) -> Option<Self> {
        let settings = &settings.alerts;
        (!settings.command.is_empty() || settings.webhook.is_some()).then_some(Self { settings })
    }

    /// Sends each event, as long as their time lasts.
    pub(super) async fn send(&self, events: &[RecordedEvent]) {
        let all = async {
            for event in events {
                self.send_one(event).await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(ALERT_BUDGET_SECS), all).await.is_err() {
            tracing::warn!(seconds = ALERT_BUDGET_SECS, "alerts take too long: the rest was not sent");
        }
    }

    async fn send_one(&self, event: &RecordedEvent) {
        let text = serde_json::to_string(event).unwrap_or_default();
        let patience = Duration::from_secs(ALERT_TIMEOUT_SECS);
        let timed_out = || "it takes too long".to_owned();
        if let [program, arguments @ ..] = self.settings.command.as_slice() {
            let told = tokio::time::timeout(patience, run_command(program, arguments, &text)).await;
            if let Err(reason) = told.map_err(|_| timed_out()).flatten() {
                tracing::warn!(program, reason, "the alert command failed");
            }
        }
        if let Some(webhook) = &self.settings.webhook {
            let told = tokio::time::timeout(patience, post(webhook.reveal(), None, text, patience)).await;
            if let Err(reason) = told.map_err(|_| timed_out()).flatten() {
                tracing::warn!(reason, "the alert webhook failed");
            }
        }
    }
}

async fn run_command(program: &str, arguments: &[String], text: &str) -> Result<(), String> {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        // stdout is the summary's.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that reads nothing may be right: how it ends counts.
        let _unread = stdin.write_all(format!("{text}\n").as_bytes()).await;
    }
    let status = child.wait().await.map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}
