//! One call: paced, tried again where that helps, counted. The only file that names `reqwest`'s
//! client.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;
use reqwest::header::{ACCEPT_ENCODING, DATE, HeaderMap};
use reqwest::{RequestBuilder, Response};
use tokio::sync::Mutex;
use url::{Host, Url};

use super::address::Call;
use super::answer::{Answer, Setback, judge};
use super::api_counter::ApiCounter;
use super::body::{Body, Slowness, TOO_LONG};
use super::client::Surroundings;
use super::resolver::{GuardedResolver, PrivateAddress};
use super::spare_buffers::SpareBuffers;
use crate::settings::TenantSettings;
use crate::settings::limits::{
    BACKOFF_BASE_MILLIS, BACKOFF_CEILING_SECS, BODY_BYTES, CONNECT_TIMEOUT_SECS, SMALL_BODY_BYTES,
};
use crate::throttle::{Backoff, Pace, ServerHints};
use crate::vocabulary::{Failure, Secret};

/// A difference of clocks that an operator should know of.
const CLOCK_SKEW_WARNED: TimeDelta = TimeDelta::minutes(5);

/// What is said of an answer whose body is not taken.
const REFUSED_BODY: &str = "a body that is refused";

/// A wait that an operator should know of.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// Secrets that are kept out of messages.
const KEPT_SECRETS: usize = 4;

/// The shared way out: one pace for all tasks.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    pace: Mutex<Pace>,
    backoff: Backoff,
    pub(super) surroundings: Surroundings,
    /// How far the tenant's clock is ahead of ours, in milliseconds, where an answer told.
    server_ahead: std::sync::Mutex<Option<TimeDelta>>,
    /// What no message may repeat.
    secrets: std::sync::Mutex<Vec<Secret>>,
    /// For the bodies of pages.
    page_buffers: SpareBuffers,
    pub(super) counter: Arc<ApiCounter>,
}

impl Http {
    pub(super) fn new(settings: &TenantSettings, surroundings: Surroundings) -> Result<Arc<Self>, Failure> {
        let limits = &settings.limits;
        let resolver = GuardedResolver {
            guarded: hosts(settings).map(|host| host.to_string()).collect(),
            allow_private: settings.allow_private_addresses,
        };
        let mut builder = reqwest::Client::builder();
        if hosts(settings).all(|host| is_loopback(&host)) {
            // What is on this machine is meant: a proxy would be given secrets that must not leave it unencrypted.
            builder = builder.no_proxy();
        }
        let client = builder
            .dns_resolver(Arc::new(resolver))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECS))
            .timeout(Duration::from_secs(limits.request_timeout_secs))
            .user_agent(concat!("cxlake/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| {
                Failure::configuration(format!("set up HTTP: {error}{}", causes(&error)))
                    .hint("install certificates of authorities (ca-certificates), or correct SSL_CERT_FILE")
            })?;
        let now = surroundings.clock.monotonic();
        let pace = Pace::new(limits.requests_per_second, limits.burst, limits.slow_below_percent, now);
        let backoff = Backoff {
            base: Duration::from_millis(BACKOFF_BASE_MILLIS),
            ceiling: Duration::from_secs(BACKOFF_CEILING_SECS),
            attempts: limits.retry_attempts,
            budget: Duration::from_secs(limits.retry_elapsed_secs),
        };
        Ok(Arc::new(Self {
            client,
            pace: Mutex::new(pace),
            backoff,
            surroundings,
            server_ahead: std::sync::Mutex::new(None),
            secrets: std::sync::Mutex::new(vec![settings.client_secret.clone()?]),
            page_buffers: SpareBuffers::default(),
            counter: Arc::default(),
        }))
    }

    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// Now by the tenant's clock: ours may be wrong, and what is closed there is what counts.
    pub(super) fn server_now(&self) -> DateTime<Utc> {
        let ahead = *self.server_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        self.surroundings.clock.now() + ahead.unwrap_or_default()
    }

    fn heed_date(&self, headers: &HeaderMap) {
        let date = headers
            .get(DATE)
            .and_then(|date| date.to_str().ok())
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let Some(date) = date else { return };
        let ahead = date.with_timezone(&Utc) - self.surroundings.clock.now();
        if ahead.abs() > CLOCK_SKEW_WARNED {
            tracing::warn!(seconds = ahead.num_seconds(), "our clock and the tenant's differ");
        }
        *self.server_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(ahead);
    }

    /// Sends one request when the pace allows it, and reads its answer whole.
    pub(super) async fn send(&self, call: Call, request: RequestBuilder) -> Result<Answer, Setback> {
        self.counter.add_request();
        // Inflating is ours, for its bounds are.
        let request = request.header(ACCEPT_ENCODING, "gzip");
        let response = request.send().await.map_err(|error| unreachable(call, &error))?;
        if call == Call::UsersMe {
            self.heed_date(response.headers());
        }
        let hints = read_hints(response.headers(), self.surroundings.clock.now().into());
        self.pace.lock().await.heed(call.path(), &hints, self.surroundings.clock.monotonic());
        if response.status().as_u16() == 429 {
            self.counter.add_throttled();
        }
        let answer = match call {
            Call::DataDownload => self.read_answer(response, BODY_BYTES, &self.page_buffers).await?,
            _ => self.read_answer(response, SMALL_BODY_BYTES, &SpareBuffers::default()).await?,
        };
        judge(call, answer, hints.retry_after).map_err(|setback| setback.map_text(|text| self.redacted(text)))
    }

    /// Makes sure that a text is never shown, whoever repeats it.
    pub(super) fn keep_secret(&self, secret: Secret) {
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        // The client's own secret stays; of tokens the last few can still be on the way.
        if secrets.len() > KEPT_SECRETS {
            secrets.remove(1);
        }
        secrets.push(secret);
    }

    fn redacted(&self, text: String) -> String {
        let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        without(text, &secrets)
    }

    async fn read_answer(&self, response: Response, most: usize, spares: &SpareBuffers) -> Result<Answer, Setback> {
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, request_id) = (response.status(), header("x-request-id").or_else(|| header("correlationid")));
        let content_type = header("content-type");
        let length = response.content_length().and_then(|length| usize::try_from(length).ok());
        let refused = |reason: String| Setback::passing(format!("{status} with {REFUSED_BODY}: {reason}"));
        let mut body = Body::new(header("content-encoding").as_deref(), length, most, spares).map_err(refused)?;
        let clock = &self.surroundings.clock;
        let mut slowness = Slowness::new(clock.monotonic());
        let mut chunks = response.bytes_stream();
        loop {
            let next = tokio::time::timeout(Slowness::LONGEST_PAUSE, chunks.next()).await;
            let Some(chunk) = next.map_err(|_| refused("it stopped coming".to_owned()))? else { break };
            let chunk =
                chunk.map_err(|error| Setback::passing(format!("the answer was cut: {}", transport(&error))))?;
            slowness.came(chunk.len(), clock.monotonic()).map_err(refused)?;
            body.feed(&chunk).map_err(refused)?;
        }
        Ok(Answer { status, request_id, content_type, body: body.finish().map_err(refused)? })
    }

    /// Waits until the pace allows a call. The lock is not held while waiting.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Unavailable`] where the tenant's own words ask for more
    /// patience than the limits have.
    async fn pace(&self, call: Call) -> Result<(), Failure> {
        loop {
            let taken = self.pace.lock().await.take(call.path(), self.surroundings.clock.monotonic());
            let Err(wait) = taken else { return Ok(()) };
            if wait > self.backoff.budget {
                return Err(Failure::unavailable(format!(
                    "{}: the tenant asks to wait {} seconds",
                    call.purpose(),
                    wait.as_secs()
                ))
                .hint("run it later; retry_elapsed_secs in [tenants.….limits] sets the patience")
                .retry_after(wait.as_secs().max(1)));
            }
            if wait > LONG_WAIT {
                tracing::info!(call = call.path(), seconds = wait.as_secs(), "waiting for the tenant's pace");
            }
            tokio::time::sleep(self.surroundings.clock.machine_time(wait)).await;
        }
    }
}

/// The hosts that a tenant's secrets and tokens go to.
fn hosts(settings: &TenantSettings) -> impl Iterator<Item = Host<String>> {
    let urls = settings.regions.values().chain([&settings.auth_url]).chain(&settings.jwks_url);
    urls.filter_map(|url| Some(Url::parse(url).ok()?.host()?.to_owned()))
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// The tries of one call.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    http: &'a Http,
    call: Call,
    /// When the first was made: what the pace makes a call wait is no failure.
    started: Option<Instant>,
    /// What the pace made the others wait.
    paced: Duration,
    count: u32,
    throttled_count: u32,
}

impl<'a> Tries<'a> {
    pub(super) fn begin(http: &'a Http, call: Call) -> Self {
        Self { http, call, started: None, paced: Duration::ZERO, count: 0, throttled_count: 0 }
    }

    /// Waits until the pace allows the next try.
    ///
    /// # Errors
    /// Where that is later than the patience lasts.
    pub(super) async fn pace(&mut self) -> Result<(), Failure> {
        let clock = &self.http.surroundings.clock;
        let before = clock.monotonic();
        self.http.pace(self.call).await?;
        let now = clock.monotonic();
        match self.started {
            None => self.started = Some(now),
            Some(_) => self.paced += now.saturating_duration_since(before),
        }
        Ok(())
    }

    /// Waits for the next try after a setback.
    ///
    /// # Errors
    /// Where no further try can succeed, or is worth it.
    pub(super) async fn after(&mut self, setback: Setback) -> Result<(), Failure> {
        let (reason, throttled, server_wait) = match setback {
            Setback::Final(failure) => return Err(failure),
            Setback::Unauthorized { reason } => return Err(unauthorized(self.call, &reason)),
            Setback::Passing { reason, throttled, wait } => (reason, throttled, wait),
        };
        let Http { surroundings, backoff, counter, .. } = self.http;
        let now = surroundings.clock.monotonic();
        let elapsed = now.saturating_duration_since(self.started.unwrap_or(now)).saturating_sub(self.paced);
        let fraction = surroundings.randomness.fraction();
        // Answers 429 use up none of the tries for failures; both are bounded.
        let attempt = if throttled { &mut self.throttled_count } else { &mut self.count };
        *attempt += 1;
        let wait = backoff.next_wait(*attempt, elapsed, fraction, server_wait);
        let tries = self.count + self.throttled_count;
        let Some(wait) = wait else {
            return Err(given_up(self.call, &reason, tries, throttled, server_wait));
        };
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(call = self.call.path(), attempt = tries, wait_ms, %reason, "trying again");
        counter.add_retry();
        tokio::time::sleep(surroundings.clock.machine_time(wait)).await;
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
    } else if call == Call::DataDownload && reason.contains(REFUSED_BODY) && reason.contains(TOO_LONG) {
        "lower page_records in the report, so that its pages are shorter"
    } else {
        "run it again; retry_attempts and retry_elapsed_secs in [tenants.….limits] set the patience"
    })
}

fn unreachable(call: Call, error: &reqwest::Error) -> Setback {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(private) = cause.downcast_ref::<PrivateAddress>() {
            return Setback::Final(
                Failure::configuration(format!("{}: {private}", call.purpose()))
                    .hint("set allow_private_addresses = true in the tenant if it is right"),
            );
        }
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls_error(cause) {
            return Setback::Final(
                Failure::access(format!("{}: the host's certificate is not trusted: {reason}", call.purpose()))
                    .hint("check the host; SSL_CERT_FILE names a file of authorities of your own"),
            );
        }
        source = cause.source();
    }
    Setback::passing(transport(error))
}

/// The TLS error that an error is, or holds: an I/O error hides what it holds from `source`.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.downcast_ref::<rustls::Error>().or_else(|| held.and_then(|held| tls_error(held)))
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
    format!("{kind}{}", causes(error))
}

/// The causes of an error, each after a colon.
fn causes(error: &reqwest::Error) -> String {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).map(|cause| format!(": {cause}")).collect()
}

fn read_hints(headers: &HeaderMap, now: SystemTime) -> ServerHints {
    ServerHints::read(|name| headers.get(name).and_then(|value| value.to_str().ok()), now)
}

/// A text with asterisks in the place of secrets.
fn without(text: String, secrets: &[Secret]) -> String {
    // A token that is empty would be everywhere.
    let secrets = secrets.iter().map(Secret::reveal).filter(|secret| !secret.is_empty());
    secrets.fold(text, |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_no_secret_hides_nothing() {
        let secrets = ["", "hunter2"].map(|text| Secret::new(text.to_owned()));
        assert_eq!(without("hunter2 was refused".to_owned(), &secrets), "*** was refused");
    }
}
