//! A tenant's client: calls with a token, at the data plane that the token names.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;

use super::address::Call;
use super::answer::{Answer, Setback};
use super::api_counter::ApiCounter;
use super::http::{Http, Tries};
use super::token::TokenCache;
use crate::settings::TenantSettings;
use crate::vocabulary::{Clock, Failure, Randomness, SystemClock, SystemRandomness};

/// Time and randomness.
#[derive(Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The jitter's fractions.
    pub randomness: Arc<dyn Randomness>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), randomness: Arc::new(SystemRandomness) }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Surroundings")
    }
}

/// The door to one tenant. Clones share token, pace and counts.
#[derive(Clone, Debug)]
pub struct Client {
    http: Arc<Http>,
    tokens: Arc<TokenCache>,
    settings: Arc<TenantSettings>,
}

impl Client {
    /// A client; nothing is called yet.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Configuration`] where HTTP cannot be set up on this machine.
    pub fn new(settings: Arc<TenantSettings>, surroundings: Surroundings) -> Result<Self, Failure> {
        let http = Http::new(&settings, surroundings)?;
        let tokens = Arc::new(TokenCache::new(Arc::clone(&http), Arc::clone(&settings)));
        Ok(Self { http, tokens, settings })
    }

    /// What is asked of the tenant, by this client and its clones.
    pub fn counter(&self) -> Arc<ApiCounter> {
        Arc::clone(&self.http.counter)
    }

    pub(super) fn monotonic(&self) -> std::time::Instant {
        self.http.surroundings.clock.monotonic()
    }

    /// Now by the tenant's clock, as far as it told.
    pub fn server_now(&self) -> DateTime<Utc> {
        self.http.server_now()
    }

    /// Pages that may be asked for at the same time.
    pub fn pages_in_flight(&self) -> usize {
        self.settings.limits.pages_in_flight
    }

    /// The ceiling of the pace.
    pub fn requests_per_second(&self) -> f64 {
        self.settings.limits.requests_per_second
    }

    /// Gets a token if there is none, and says which region it names.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Access`] for refused credentials and a region that is not
    /// configured.
    pub async fn sign_in(&self) -> Result<String, Failure> {
        Ok(self.tokens.bearer(None).await?.claims.region)
    }

    /// The tenant's id in the token.
    pub(super) async fn token_tenant_id(&self) -> Result<Option<String>, Failure> {
        Ok(self.tokens.bearer(None).await?.claims.tenant_id)
    }

    /// Makes a call with a token: `make` builds the request for a URL, `read` reads the answer. A
    /// token that the tenant refuses is replaced once.
    pub(super) async fn call<T>(
        &self,
        call: Call,
        make: impl Fn(&reqwest::Client, &str) -> RequestBuilder,
        mut read: impl FnMut(Answer) -> Result<T, Setback>,
    ) -> Result<T, Failure> {
        let mut refused = None;
        let mut tries = Tries::begin(&self.http, call);
        loop {
            // The pace comes first: a token must still be good after the wait.
            tries.pace().await?;
            let bearer = self.tokens.bearer(refused).await?;
            let url = format!("{}{}", bearer.data_plane, call.path());
            let request = make(self.http.client(), &url).bearer_auth(bearer.token.reveal());
            let answer = self.http.send(call, request).await;
            match answer.and_then(&mut read) {
                Ok(value) => return Ok(value),
                Err(Setback::Unauthorized { reason }) if refused.is_none() => {
                    tracing::warn!(call = call.path(), %reason, "the token was refused: getting a fresh one");
                    refused = Some(bearer.generation);
                }
                Err(setback) => tries.after(setback).await?,
            }
        }
    }
}
