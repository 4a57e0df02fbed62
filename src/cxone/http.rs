//! One call: paced, tried again where that helps, counted. The only file that names `reqwest`'s
//! client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use tokio::sync::Mutex;

use super::address::Call;
use super::answer::{Answer, Setback, judge};
use super::client::Surroundings;
use crate::settings::Limits;
use crate::settings::limits::{
    BACKOFF_BASE_MILLIS, BACKOFF_CEILING_SECS, BODY_BYTES, CONNECT_TIMEOUT_SECS, SMALL_BODY_BYTES,
};
use crate::throttle::{Backoff, ServerHints, TokenBucket};
use crate::vocabulary::Failure;

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

/// The shared way out: one pace for all tasks.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    bucket: Mutex<TokenBucket>,
    backoff: Backoff,
    pub(super) surroundings: Surroundings,
    requests: AtomicU64,
    throttled: AtomicU64,
    retries: AtomicU64,
}

impl Http {
    pub(super) fn new(limits: &Limits, surroundings: Surroundings) -> Result<Arc<Self>, Failure> {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECS))
            .timeout(Duration::from_secs(limits.request_timeout_secs))
            .user_agent(concat!("cxlake/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::defect(format!("set up HTTP: {error}")))?;
        let now = surroundings.clock.monotonic();
        let bucket = TokenBucket::new(limits.requests_per_second, limits.burst, limits.slow_below_percent, now);
        let backoff = Backoff {
            base: Duration::from_millis(BACKOFF_BASE_MILLIS),
            ceiling: Duration::from_secs(BACKOFF_CEILING_SECS),
            attempts: limits.retry_attempts,
            budget: Duration::from_secs(limits.retry_elapsed_secs),
        };
        Ok(Arc::new(Self {
            client,
            bucket: Mutex::new(bucket),
            backoff,
            surroundings,
            requests: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        }))
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    pub(super) fn counts(&self) -> ApiCounts {
        ApiCounts {
            requests: self.requests.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }

    /// Sends one request when the pace allows it, and reads its answer whole.
    pub(super) async fn send(&self, call: Call, request: RequestBuilder) -> Result<Answer, Setback> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = request.send().await.map_err(|error| Setback::passing(transport(&error)))?;
        let hints = read_hints(response.headers(), self.surroundings.clock.now().into());
        self.bucket.lock().await.heed(&hints, self.surroundings.clock.monotonic());
        if response.status().as_u16() == 429 {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        let most = if call == Call::DataDownload { BODY_BYTES } else { SMALL_BODY_BYTES };
        judge(call, read_answer(response, most).await?, hints.retry_after)
    }

    /// Waits until the bucket gives a token. The lock is not held while waiting.
    pub(super) async fn pace(&self) {
        loop {
            let taken = self.bucket.lock().await.take(self.surroundings.clock.monotonic());
            match taken {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
    }
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    http: &'a Http,
    call: Call,
    started: Instant,
    count: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn begin(http: &'a Http, call: Call) -> Self {
        Self { http, call, started: http.surroundings.clock.monotonic(), count: 0 }
    }

    /// Waits for the next try after a setback.
    ///
    /// # Errors
    /// Where no further try can succeed, or is worth it.
    pub(super) async fn after(&mut self, setback: Setback) -> Result<(), Failure> {
        self.count += 1;
        let (reason, throttled, server_wait) = match setback {
            Setback::Final(failure) => return Err(failure),
            Setback::Unauthorized { reason } => return Err(unauthorized(self.call, &reason)),
            Setback::Passing { reason, throttled, wait } => (reason, throttled, wait),
        };
        let Http { surroundings, backoff, retries, .. } = self.http;
        let elapsed = surroundings.clock.monotonic().saturating_duration_since(self.started);
        let fraction = surroundings.randomness.fraction();
        let Some(wait) = backoff.next_wait(self.count, elapsed, fraction, server_wait) else {
            return Err(given_up(self.call, &reason, self.count, throttled, server_wait));
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(call = self.call.path(), attempt = self.count, wait_ms, %reason, "trying again");
        retries.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

fn unauthorized(call: Call, reason: &str) -> Failure {
    Failure::access(format!("{}: {reason}, also with a fresh token", call.purpose()))
        .hint(format!("the client needs {}", call.requirements()))
}

fn given_up(call: Call, reason: &str, tries: u32, throttled: bool, server_wait: Option<Duration>) -> Failure {
    let times = if tries == 1 { "try" } else { "tries" };
    let failure = Failure::unavailable(format!("{}: {reason}, after {tries} {times}", call.purpose()));
    let failure = match server_wait {
        Some(wait) => failure.retry_after(wait.as_secs().max(1)),
        None => failure,
    };
    failure.hint(if throttled {
        "the tenant throttles: run it later, or lower requests_per_second in [tenants.….limits]"
    } else {
        "run it again; retry_attempts and retry_elapsed_secs in [tenants.….limits] set the patience"
    })
}

/// The error and its causes, without the URL.
fn transport(error: &reqwest::Error) -> String {
    let kind = if error.is_timeout() {
        "timed out"
    } else if error.is_connect() {
        "cannot connect"
    } else {
        "the connection failed"
    };
    let mut text = kind.to_owned();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn read_hints(headers: &HeaderMap, now: SystemTime) -> ServerHints {
    ServerHints::read(|name| headers.get(name).and_then(|value| value.to_str().ok()), now)
}

async fn read_answer(response: Response, most: usize) -> Result<Answer, Setback> {
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, request_id) = (response.status(), header("x-request-id").or_else(|| header("correlationid")));
    let content_type = header("content-type");
    let length = response.content_length().and_then(|length| usize::try_from(length).ok());
    let mut chunks = response.bytes_stream();
    let mut body = BytesMut::with_capacity(length.unwrap_or_default().min(most));
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Setback::passing(format!("the answer was cut: {}", transport(&error))))?;
        if body.len() + chunk.len() > most {
            return Err(Setback::passing(format!("the answer is longer than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, request_id, content_type, body: Bytes::from(body) })
}
