//! Runs in this process, where time and randomness can be given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use cxlake::cxone::Surroundings;
use cxlake::run::summary::Summary;
use cxlake::run::{Environment, OpenWarehouses, RunRecord, RunRequest, Span, run};
use cxlake::settings::{self, read_settings};
use cxlake::vocabulary::{Clock, NoProgress, Randomness};

use super::lab::Lab;

struct NoJitter;

impl Randomness for NoJitter {
    fn fraction(&self) -> f64 {
        0.0
    }
}

/// A clock that begins at an instant of the test's and goes faster than the machine's.
pub(crate) struct FastClock {
    begin: DateTime<Utc>,
    machine_begin: Instant,
    times: u32,
}

impl FastClock {
    /// Begins at `begin` and goes on `times` as fast as the machine's.
    pub(crate) fn new(begin: DateTime<Utc>, times: u32) -> Arc<Self> {
        Arc::new(Self { begin, machine_begin: Instant::now(), times })
    }

    fn elapsed(&self) -> Duration {
        self.machine_begin.elapsed() * self.times
    }
}

impl Clock for FastClock {
    fn now(&self) -> DateTime<Utc> {
        self.begin + TimeDelta::from_std(self.elapsed()).unwrap()
    }

    fn monotonic(&self) -> Instant {
        self.machine_begin + self.elapsed()
    }

    fn machine_time(&self, wait: Duration) -> Duration {
        wait / self.times
    }
}

/// A run of the days from `from` to before `to`.
pub(crate) fn days(from: &str, to: &str) -> RunRequest {
    RunRequest {
        tenants: Vec::new(),
        reports: Vec::new(),
        span: Span::Days { from: from.parse().unwrap(), to: to.parse().unwrap() },
        skip_committed: false,
        look_back: true,
        of_large_run: false,
    }
}

/// Runs it, with jitter that never waits.
pub(crate) async fn run_here(lab: &Lab, request: &RunRequest, clock: Arc<dyn Clock>) -> Summary {
    let tenant = lab.simulator.settings();
    let surroundings = settings::Surroundings {
        variable: &|name| {
            Some(if name == "CXONE_CLIENT_ID" { &tenant.client_id } else { &tenant.client_secret }.clone())
        },
        text_file: &|path| std::fs::read_to_string(path),
    };
    let settings = read_settings("cxlake.toml", lab.configuration(), &surroundings).unwrap();
    let environment = Environment {
        surroundings: Surroundings { clock, randomness: Arc::new(NoJitter) },
        progress: Arc::new(NoProgress),
        run_id: "here".to_owned(),
        warehouses: OpenWarehouses::default(),
    };
    let record = RunRecord::new("here");
    run(&settings, request, &environment, &record).await;
    record.summary()
}
