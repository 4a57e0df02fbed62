//! The pace of calls to one tenant.

use std::time::{Duration, Instant};

use super::ServerHints;

/// Until when what is left must last, where the tenant does not say.
const RESET_UNKNOWN: Duration = Duration::from_secs(60);

/// A token bucket that also heeds what the tenant says: below a share of the tenant's limit the
/// pace falls so that what is left lasts until the reset, and no call goes out within a
/// `Retry-After`.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    per_second: f64,
    burst: f64,
    slow_below_percent: f64,
    tokens: f64,
    refilled: Instant,
    slowed: Option<Slowed>,
    closed_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Slowed {
    per_second: f64,
    until: Instant,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that gains `per_second`.
    pub fn new(per_second: f64, burst: u32, slow_below_percent: f64, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_second, burst, slow_below_percent, tokens: burst, refilled: now, slowed: None, closed_until: None }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time after which to ask again, where there is none now.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        match self.wait(now) {
            Some(wait) => Err(wait),
            None => {
                self.tokens -= 1.0;
                Ok(())
            }
        }
    }

    /// The time after which there is a token; `None` where there is one now.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        self.refill(now);
        if let Some(until) = self.closed_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        if self.tokens >= 1.0 {
            return None;
        }
        let missing = 1.0 - self.tokens;
        let wait = Duration::from_secs_f64((missing / self.pace(now)).min(3600.0));
        Some(wait.max(Duration::from_millis(1)))
    }

    /// Takes in what an answer said.
    pub fn heed(&mut self, hints: &ServerHints, now: Instant) {
        self.refill(now);
        if let Some(wait) = hints.retry_after {
            let until = now + wait;
            self.closed_until = Some(self.closed_until.map_or(until, |closed| closed.max(until)));
        }
        let Some(percent) = hints.remaining_percent() else { return };
        let reset = hints.reset.filter(|reset| !reset.is_zero()).unwrap_or(RESET_UNKNOWN);
        self.slowed = match hints.remaining {
            Some(remaining) if percent < self.slow_below_percent => {
                let lasting = remaining.max(1.0) / reset.as_secs_f64();
                // Where the tenant does not say until when nothing is left, one call finds out.
                let at_once = if hints.reset.is_some() { remaining.min(1.0) } else { 1.0 };
                self.tokens = self.tokens.min(at_once);
                Some(Slowed { per_second: lasting.min(self.per_second), until: now + reset })
            }
            _ => None,
        };
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled).as_secs_f64();
        let most = if self.slowed.is_some_and(|slowed| slowed.until > now) { 1.0 } else { self.burst };
        self.tokens = (self.tokens + elapsed * self.pace(now)).min(most.max(self.tokens.min(self.burst)));
        self.refilled = now;
    }

    fn pace(&self, now: Instant) -> f64 {
        match self.slowed {
            Some(slowed) if slowed.until > now => slowed.per_second,
            _ => self.per_second,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use std::ops::RangeInclusive;

    use proptest::prelude::*;

    use super::*;

    /// The instants, from the start, at which calls go out when they are made as fast as allowed.
    fn calls_within(bucket: &mut TokenBucket, start: Instant, span: Duration) -> Vec<Duration> {
        let mut now = start;
        let mut calls = Vec::new();
        while now < start + span {
            match bucket.take(now) {
                Ok(()) => calls.push(now - start),
                Err(wait) => now += wait,
            }
        }
        calls
    }

    #[test]
    fn a_burst_goes_out_at_once_and_the_rest_at_the_pace() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(5.0, 5, 20.0, start);
        let calls = calls_within(&mut bucket, start, Duration::from_secs(2));
        assert_eq!(calls.iter().filter(|at| at.is_zero()).count(), 5);
        assert!((14..=15).contains(&calls.len()), "{}", calls.len());
    }

    #[test]
    fn no_call_goes_out_within_a_retry_after() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(100.0, 10, 20.0, start);
        let retry_after = Some(Duration::from_secs(3));
        bucket.heed(&ServerHints { retry_after, ..ServerHints::default() }, start);
        bucket.heed(&ServerHints { retry_after: Some(Duration::from_secs(1)), ..ServerHints::default() }, start);
        let calls = calls_within(&mut bucket, start, Duration::from_secs(4));
        assert!(calls.first().is_some_and(|at| *at >= Duration::from_secs(3)));
    }

    #[test]
    fn what_is_left_lasts_until_the_reset() {
        fn check(remaining: f64, reset: Option<u64>, expected: RangeInclusive<usize>) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(100.0, 10, 20.0, start);
            let reset = reset.map(Duration::from_secs);
            bucket
                .heed(&ServerHints { limit: Some(100.0), remaining: Some(remaining), reset, retry_after: None }, start);
            // Up to just before the reset, whose instant floats may miss.
            let calls = calls_within(&mut bucket, start, Duration::from_millis(59_900));
            assert!(expected.contains(&calls.len()), "{remaining} until {reset:?}: {}", calls.len());
        }
        check(10.0, Some(60), 9..=11);
        check(1.0, Some(60), 1..=1);
        check(0.0, Some(60), 0..=0);
        check(0.0, None, 1..=1);
    }

    proptest! {
        #[test]
        fn no_interval_holds_more_than_the_bucket_allows(rate in 0.5_f64..50.0, burst in 1_u32..20, pauses in proptest::collection::vec(0_u64..3000, 1..20)) {
            let start = Instant::now();
            let mut bucket = TokenBucket::new(rate, burst, 20.0, start);
            let mut now = start;
            let mut calls = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                while bucket.take(now).is_ok() {
                    calls.push(now);
                }
            }
            for (first, from) in calls.iter().enumerate() {
                for (last, to) in calls.iter().enumerate().skip(first) {
                    #[expect(clippy::cast_precision_loss, reason = "small counts")]
                    let count = (last - first + 1) as f64;
                    prop_assert!(count <= f64::from(burst) + rate * (*to - *from).as_secs_f64() + 1e-6);
                }
            }
        }
    }
}
