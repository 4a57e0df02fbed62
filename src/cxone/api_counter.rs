//! What was asked of a tenant.

use std::sync::atomic::{AtomicU64, Ordering};

/// What was asked of the tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiCounts {
    /// All requests.
    pub requests: u64,
    /// Answers 429.
    pub throttled: u64,
    /// Tries after the first.
    pub retries: u64,
}

/// Counts what is asked of a tenant; it outlives the tenant's client.
#[derive(Debug, Default)]
pub struct ApiCounter {
    requests: AtomicU64,
    throttled: AtomicU64,
    retries: AtomicU64,
}

impl ApiCounter {
    /// What was asked so far.
    pub fn counts(&self) -> ApiCounts {
        ApiCounts {
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    pub(super) fn add_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}
