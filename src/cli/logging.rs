//! Structured logs on stderr.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::arguments::{Global, LogFormat};
use super::progress::Bars;
use crate::cxone::PAGE_LOG;

/// Whether the last line was said: nothing comes behind it, whoever still works.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Ends logging.
pub(super) fn end() {
    ENDED.store(true, Ordering::SeqCst);
}

/// Starts logging. Lines appear above progress bars, where there are any. A command that tells its
/// own story logs only what failed, unless more is asked for.
pub(super) fn start(global: &Global, progress: Option<&Arc<Bars>>, tells_itself: bool, run_id: &str) {
    let ours = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) if tells_itself => "error",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let terminal = io::stderr().is_terminal();
    let format = global.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    // A line a page is for programs; people have the progress.
    let pages = if format == LogFormat::Text && global.verbose == 0 { "warn" } else { ours };
    // Libraries below us log tokens and bodies at their lower levels.
    let filter = EnvFilter::new(format!("warn,cxlake={ours},{PAGE_LOG}={pages},cxlake_sinks={ours}"));
    let context = match format {
        LogFormat::Text => String::new(),
        LogFormat::Json => context(run_id, &|name| std::env::var(name).ok()),
    };
    let writer = LogWriter { bars: progress.cloned(), context };
    // Spans are for traces: a line of the log says itself what it is about.
    let filter = filter.and(filter_fn(|metadata| metadata.is_event()));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => {
            let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            lines.with_ansi(colours).with_target(false).with_filter(filter).boxed()
        }
        LogFormat::Json => {
            super::render::errors_as_json();
            lines.json().flatten_event(true).with_current_span(false).with_span_list(false).with_filter(filter).boxed()
        }
    };
    tracing_subscriber::registry().with(lines).with(super::telemetry::layer()).init();
}

/// The run and, by Airflow's own variables, the task that a line of JSON is of, as members that stand
/// before its own.
fn context(run_id: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let of_parent = || variable("TRACEPARENT").and_then(|parent| parent.split('-').nth(1).map(str::to_owned));
    let trace = super::telemetry::trace_id().or_else(of_parent);
    let members = [
        ("run_id", Some(run_id.to_owned())),
        ("dag_id", variable("AIRFLOW_CTX_DAG_ID")),
        ("task_id", variable("AIRFLOW_CTX_TASK_ID")),
        ("dag_run_id", variable("AIRFLOW_CTX_DAG_RUN_ID")),
        ("try_number", variable("AIRFLOW_CTX_TRY_NUMBER")),
        ("trace_id", trace),
    ];
    let given = members.into_iter().filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)));
    given.map(|(name, value)| format!("\"{name}\":{},", serde_json::Value::String(value))).collect()
}

struct LogWriter {
    bars: Option<Arc<Bars>>,
    /// What every line of JSON begins with.
    context: String,
}

/// One line of the log.
struct Line<'a> {
    bars: Option<&'a Bars>,
    context: &'a str,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { bars: self.bars.as_deref(), context: &self.context }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if ENDED.load(Ordering::SeqCst) {
            return Ok(buffer.len());
        }
        // An event comes as a whole.
        let line = match buffer {
            [b'{', members @ ..] if !self.context.is_empty() => {
                Cow::Owned([b"{", self.context.as_bytes(), members].concat())
            }
            line => Cow::Borrowed(line),
        };
        match self.bars {
            Some(bars) => bars.suspended(|| io::stderr().write_all(&line))?,
            None => io::stderr().write_all(&line)?,
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_says_which_run_and_which_task_it_is_of() {
        let variables =
            [("AIRFLOW_CTX_DAG_ID", "a\"b"), ("AIRFLOW_CTX_TASK_ID", ""), ("TRACEPARENT", "00-4bf9-00f0-01")];
        let variable =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        assert_eq!(context("r", &variable), r#""run_id":"r","dag_id":"a\"b","trace_id":"4bf9","#);
    }
}
