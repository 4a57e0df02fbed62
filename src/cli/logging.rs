//! Structured logs on stderr.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::arguments::{Global, LogFormat};
use super::progress::Bars;

/// Starts logging. Lines appear above progress bars, where there are any. A command that tells its
/// own story logs only what failed, unless more is asked for.
pub(super) fn start(global: &Global, progress: Option<&Arc<Bars>>, tells_itself: bool) {
    let ours = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (false, 0) if tells_itself => "error",
        (false, 0) => "info",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    // Libraries below us log tokens and bodies at their lower levels.
    let filter = EnvFilter::new(format!("warn,cxlake={ours},cxlake_sinks={ours}"));
    let writer = LogWriter { bars: progress.cloned() };
    let terminal = io::stderr().is_terminal();
    let format = global.log_format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        LogFormat::Text => {
            let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            builder.with_ansi(colours).with_target(false).init();
        }
        LogFormat::Json => {
            super::render::errors_as_json();
            builder.json().flatten_event(true).with_current_span(false).init();
        }
    }
}

struct LogWriter {
    bars: Option<Arc<Bars>>,
}

/// One line of the log.
struct Line<'a> {
    bars: Option<&'a Bars>,
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { bars: self.bars.as_deref() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self.bars {
            Some(bars) => bars.suspended(|| io::stderr().write_all(buffer))?,
            None => io::stderr().write_all(buffer)?,
        }
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
