//! How long to wait before the next try of a call.

use std::time::Duration;

/// Exponential backoff with full jitter, bounded in tries and in time.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub base: Duration,
    /// The longest wait.
    pub ceiling: Duration,
    /// All tries, the first included.
    pub attempts: u32,
    /// Time for all tries.
    pub budget: Duration,
}

impl Backoff {
    /// The wait after the failed try number `attempt` (from 1), given the time that all tries took
    /// so far, a random `fraction` in `[0, 1)` and the wait that the server asked for. `None` where
    /// no further try fits: there is no wait after the last one.
    pub fn next_wait(
        &self,
        attempt: u32,
        elapsed: Duration,
        fraction: f64,
        server_wait: Option<Duration>,
    ) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let doubled = self.base.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let jittered = doubled.min(self.ceiling).mul_f64(fraction);
        let wait = server_wait.map_or(jittered, |server| server.saturating_add(jittered.min(self.base)));
        (elapsed.saturating_add(wait) <= self.budget).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff {
            base: Duration::from_millis(500),
            ceiling: Duration::from_secs(30),
            attempts: 8,
            budget: Duration::from_secs(900),
        }
    }

    #[test]
    fn waits_double_up_to_the_ceiling_under_full_jitter() {
        fn check(attempt: u32, fraction: f64, expected_millis: u64) {
            let wait = backoff().next_wait(attempt, Duration::ZERO, fraction, None);
            assert_eq!(wait, Some(Duration::from_millis(expected_millis)), "{attempt} {fraction}");
        }
        check(1, 0.0, 0);
        check(1, 0.5, 250);
        check(2, 0.5, 500);
        check(3, 0.5, 1000);
        check(7, 0.5, 15_000);
    }

    #[test]
    fn there_is_no_wait_after_the_last_try_nor_beyond_the_budget() {
        assert_eq!(backoff().next_wait(8, Duration::ZERO, 0.5, None), None);
        assert_eq!(backoff().next_wait(1, Duration::from_secs(900), 0.5, None), None);
        assert_eq!(backoff().next_wait(1, Duration::ZERO, 0.0, Some(Duration::from_secs(901))), None);
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_never_cut_short() {
        let asked = Duration::from_secs(120);
        let wait = backoff().next_wait(1, Duration::ZERO, 0.9, Some(asked)).unwrap();
        assert!(wait >= asked && wait < asked + Duration::from_secs(1));
    }
}
