//! What a stage of a window did with its time: which one the others wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Clock;

/// What a stage did with its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTime {
    /// At work.
    pub working: Duration,
    /// Before an empty queue: the stage before is slower.
    pub waiting_for_input: Duration,
    /// Before a full queue: the stage behind is slower.
    pub waiting_for_output: Duration,
}

/// Adds up a stage's time: each call says what the time since the last one went into.
pub struct Stopwatch {
    clock: Arc<dyn Clock>,
    since: Instant,
    time: StageTime,
}

impl Stopwatch {
    /// Begins now.
    pub fn start(clock: Arc<dyn Clock>) -> Self {
        Self { since: clock.monotonic(), time: StageTime::default(), clock }
    }

    /// The time since the last call was work.
    pub fn worked(&mut self) {
        let lap = self.lap();
        self.time.working += lap;
    }

    /// The time since the last call went before an empty queue.
    pub fn waited_for_input(&mut self) {
        let lap = self.lap();
        self.time.waiting_for_input += lap;
    }

    /// The time since the last call went before a full queue.
    pub fn waited_for_output(&mut self) {
        let lap = self.lap();
        self.time.waiting_for_output += lap;
    }

    /// All of it so far.
    pub fn time(&self) -> StageTime {
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
