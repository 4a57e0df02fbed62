//! Time and randomness come in from outside, so that rules stay pure and tests exact.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// Tells the time. [`SystemClock`] in the product, a fixed one in tests.
pub trait Clock: Send + Sync {
    /// The wall clock, for anything a person or another system will read.
    fn now(&self) -> DateTime<Utc>;
    /// A clock that never goes backwards, for pacing and for the life of tokens.
    fn monotonic(&self) -> Instant;
    /// How long the machine takes until this clock has gone on by `wait`.
    fn machine_time(&self, wait: Duration) -> Duration {
        wait
    }
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "the one place where time comes from")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }
}

/// Gives random fractions, for the jitter of retries.
pub trait Randomness: Send + Sync {
    /// A number in `[0, 1)`.
    fn fraction(&self) -> f64;
}

/// The process's own random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandomness;

#[expect(clippy::disallowed_methods, reason = "the one place where randomness comes from")]
impl Randomness for SystemRandomness {
    fn fraction(&self) -> f64 {
        rand::random::<f64>()
    }
}
