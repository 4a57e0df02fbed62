//! Where a window's time went, stage by stage: which one the others wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::vocabulary::Clock;

/// What a stage's thread did with its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTime {
    /// At work.
    pub working: Duration,
    /// Before an empty queue: the stage before is slower.
    pub waiting_for_input: Duration,
    /// Before a full queue: the stage behind is slower.
    pub waiting_for_output: Duration,
}

/// The stages of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Pages into batches.
    pub typing: StageTime,
    /// Batches into Parquet, without what ends the files.
    pub writing: StageTime,
}

/// Adds up a stage's time: each call says what the time since the last one went into.
pub(super) struct Stopwatch {
    clock: Arc<dyn Clock>,
    since: Instant,
    time: StageTime,
}

impl Stopwatch {
    pub(super) fn start(clock: Arc<dyn Clock>) -> Self {
        Self { since: clock.monotonic(), time: StageTime::default(), clock }
    }

    pub(super) fn worked(&mut self) {
        let lap = self.lap();
        self.time.working += lap;
    }

    pub(super) fn waited_for_input(&mut self) {
        let lap = self.lap();
        self.time.waiting_for_input += lap;
    }

    pub(super) fn waited_for_output(&mut self) {
        let lap = self.lap();
        self.time.waiting_for_output += lap;
    }

    pub(super) fn time(&self) -> StageTime {
        self.time
    }

    fn lap(&mut self) -> Duration {
        let now = self.clock.monotonic();
        let lap = now.saturating_duration_since(self.since);
        self.since = now;
        lap
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use chrono::{DateTime, Utc};

    use super::*;

    /// A clock that goes on by a second whenever it is read.
    struct Ticking(Mutex<Instant>);

    impl Clock for Ticking {
        fn now(&self) -> DateTime<Utc> {
            DateTime::UNIX_EPOCH
        }

        fn monotonic(&self) -> Instant {
            let mut now = self.0.lock().unwrap();
            *now += Duration::from_secs(1);
            *now
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
    fn each_lap_is_added_to_what_it_went_into() {
        let mut stopwatch = Stopwatch::start(Arc::new(Ticking(Mutex::new(Instant::now()))));
        stopwatch.waited_for_input();
        stopwatch.worked();
        stopwatch.worked();
        stopwatch.waited_for_output();
        stopwatch.waited_for_input();
        let seconds = Duration::from_secs;
        let expected = StageTime { working: seconds(2), waiting_for_input: seconds(2), waiting_for_output: seconds(1) };
        assert_eq!(stopwatch.time(), expected);
    }
}
