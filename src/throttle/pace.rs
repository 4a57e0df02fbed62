//! The pace of all calls to one tenant, and of those to each endpoint: the tenant limits both
//! (guide, edge case 3).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{ServerHints, TokenBucket};

/// One bucket for the tenant, which holds the ceiling and every `Retry-After`, and one for each
/// endpoint, which slows down as that endpoint's own limit runs out.
#[derive(Clone, Debug)]
pub struct Pace {
    tenant: TokenBucket,
    fresh: TokenBucket,
    endpoints: BTreeMap<&'static str, TokenBucket>,
}

impl Pace {
    /// A pace with a ceiling of `per_second` calls and bursts of `burst`.
    pub fn new(per_second: f64, burst: u32, slow_below_percent: f64, now: Instant) -> Self {
        let bucket = TokenBucket::new(per_second, burst, slow_below_percent, now);
        Self { tenant: bucket.clone(), fresh: bucket, endpoints: BTreeMap::new() }
    }

    /// Takes leave for a call to an endpoint.
    ///
    /// # Errors
    /// The time after which to ask again, where there is no leave now.
    pub fn take(&mut self, endpoint: &'static str, now: Instant) -> Result<(), Duration> {
        let own = self.endpoints.entry(endpoint).or_insert_with(|| self.fresh.clone());
        if let Some(wait) = own.wait(now).max(self.tenant.wait(now)) {
            return Err(wait);
        }
        own.take(now)?;
        self.tenant.take(now)
    }

    /// Takes in what an endpoint's answer said.
    pub fn heed(&mut self, endpoint: &'static str, hints: &ServerHints, now: Instant) {
        // Whose limit a `Retry-After` means is not said: all calls wait for it.
        let closed = ServerHints { retry_after: hints.retry_after, ..ServerHints::default() };
        self.tenant.heed(&closed, now);
        self.endpoints.entry(endpoint).or_insert_with(|| self.fresh.clone()).heed(hints, now);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do as a start")]
mod tests {
    use super::*;

    fn hints(remaining: f64) -> ServerHints {
        let reset = Some(Duration::from_secs(60));
        ServerHints { limit: Some(100.0), remaining: Some(remaining), reset, retry_after: None }
    }

    #[test]
    fn an_endpoint_that_runs_out_slows_only_itself() {
        let now = Instant::now();
        let mut pace = Pace::new(10.0, 10, 20.0, now);
        pace.heed("data", &hints(1.0), now);
        assert_eq!(pace.take("data", now), Ok(()));
        assert!(pace.take("data", now).unwrap_err() > Duration::from_secs(30));
        assert_eq!(pace.take("token", now), Ok(()));
    }

    #[test]
    fn the_ceiling_and_a_retry_after_are_the_whole_tenants() {
        let now = Instant::now();
        let mut pace = Pace::new(1.0, 2, 20.0, now);
        assert_eq!(pace.take("data", now), Ok(()));
        assert_eq!(pace.take("token", now), Ok(()));
        assert!(pace.take("quota", now).is_err());
        pace.heed("data", &ServerHints { retry_after: Some(Duration::from_secs(9)), ..ServerHints::default() }, now);
        let later = now + Duration::from_secs(5);
        assert_eq!(pace.take("quota", later), Err(Duration::from_secs(4)));
    }
}
