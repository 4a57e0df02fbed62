//! Progress on a terminal.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::arguments::{Global, ProgressChoice};
use crate::vocabulary::Progress;

/// One bar for the window at hand, on stderr.
pub(super) struct Bars {
    bar: ProgressBar,
}

/// Bars on a terminal, unless they are not wanted.
pub(super) fn choose(global: &Global) -> Option<Arc<Bars>> {
    let wanted = global.progress == ProgressChoice::Auto && !global.quiet && stderr().is_terminal();
    wanted.then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let template = "{msg} {bar:20} {human_pos}/{human_len} records, {rate}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.with_key("rate", rate));
        }
        Arc::new(Bars { bar })
    })
}

fn rate(state: &ProgressState, text: &mut dyn std::fmt::Write) {
    let _infallible = write!(text, "{:.0}/s", state.per_sec());
}

impl Bars {
    /// Writes something else to the terminal.
    pub(super) fn suspended<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Progress for Bars {
    fn window_started(&self, label: &str) {
        self.bar.reset();
        self.bar.set_length(0);
        self.bar.set_message(label.to_owned());
    }

    fn records_expected(&self, records: u64) {
        self.bar.set_position(0);
        self.bar.set_length(records);
    }

    fn records_typed(&self, records: u64) {
        self.bar.inc(records);
    }

    fn window_finished(&self, _: &str) {
        self.bar.finish_and_clear();
    }
}
