//! The bearer token: cached for all tasks, refreshed by one of them at 80 % of its life (guide,
//! section 1).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::address::{Call, SCOPES};
use super::answer::{Answer, Setback, is_html};
use super::http::{Http, Tries};
use super::region::{Claims, data_plane, read_claims};
use crate::settings::TenantSettings;
use crate::settings::limits::{TOKEN_LIFE_CEILING_SECS, TOKEN_LIFE_DEFAULT_SECS};
use crate::vocabulary::{Failure, Secret};

/// The share of its life after which a token is replaced.
const REFRESH_AT: f64 = 0.8;

/// A token and where it is good.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) token: Secret,
    pub(super) claims: Claims,
    pub(super) data_plane: String,
    pub(super) generation: u64,
    refresh_at: Instant,
}

/// The cache. Its lock is held during a refresh: there is never more than one in flight.
#[derive(Debug)]
pub(super) struct TokenCache {
    http: Arc<Http>,
    settings: Arc<TenantSettings>,
    current: Mutex<Option<Bearer>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

impl TokenCache {
    pub(super) fn new(http: Arc<Http>, settings: Arc<TenantSettings>) -> Self {
        Self { http, settings, current: Mutex::new(None) }
    }

    /// A token that is good now. `refused` is the generation of one that the tenant refused: it is
    /// replaced once for all tasks that come with it.
    pub(super) async fn bearer(&self, refused: Option<u64>) -> Result<Bearer, Failure> {
        let mut current = self.current.lock().await;
        let now = self.http.surroundings.clock.monotonic();
        let good = |bearer: &&Bearer| bearer.refresh_at > now && refused != Some(bearer.generation);
        if let Some(bearer) = current.as_ref().filter(good) {
            return Ok(bearer.clone());
        }
        let generation = current.as_ref().map_or(1, |bearer| bearer.generation + 1);
        let bearer = self.fetch(generation).await?;
        tracing::debug!(generation, region = bearer.claims.region, "got a token");
        *current = Some(bearer.clone());
        Ok(bearer)
    }

    async fn fetch(&self, generation: u64) -> Result<Bearer, Failure> {
        let settings = &self.settings;
        let (client_id, client_secret) = (settings.client_id.clone()?, settings.client_secret.clone()?);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", client_id.reveal()),
            ("client_secret", client_secret.reveal()),
            ("scope", SCOPES),
        ];
        let url = format!("{}{}", settings.auth_url, Call::Token.path());
        let mut tries = Tries::begin(&self.http, Call::Token);
        let (asked, answer) = loop {
            tries.pace().await?;
            let asked = self.http.surroundings.clock.monotonic();
            let answer = self.http.send(Call::Token, self.http.client().post(&url).form(&form)).await;
            match answer.and_then(|answer| read_token(&answer)) {
                Ok(answer) => break (asked, answer),
                Err(setback) => tries.after(setback).await?,
            }
        };
        if let Some(url) = &settings.jwks_url {
            self.check_signature(url, &answer.access_token).await?;
        }
        self.http.keep_secret(Secret::new(answer.access_token.clone()));
        let claims = read_claims(&answer.access_token)?;
        let data_plane = data_plane(&claims.region, &settings.regions)?.to_owned();
        let life = token_life(&answer.expires_in);
        Ok(Bearer {
            token: Secret::new(answer.access_token),
            claims,
            data_plane,
            generation,
            refresh_at: asked + life.mul_f64(REFRESH_AT),
        })
    }

    async fn check_signature(&self, url: &str, token: &str) -> Result<(), Failure> {
        let mut tries = Tries::begin(&self.http, Call::Keys);
        let keys: JwkSet = loop {
            tries.pace().await?;
            let answer = self.http.send(Call::Keys, self.http.client().get(url)).await;
            let not_keys = |_| Setback::passing("the answer is no JSON Web Key Set");
            match answer.and_then(|answer| serde_json::from_slice(&answer.body).map_err(not_keys)) {
                Ok(keys) => break keys,
                Err(setback) => tries.after(setback).await?,
            }
        };
        verify(token, &keys)
    }
}

fn read_token(answer: &Answer) -> Result<TokenAnswer, Setback> {
    serde_json::from_slice(&answer.body).map_err(|_| {
        let what = if is_html(answer) { "an HTML page" } else { "a body that is no token" };
        Setback::passing(format!("the auth host answered {} with {what}", answer.status))
    })
}

/// Checks a token against the keys; a key id may be absent from it (tenant API).
fn verify(token: &str, keys: &JwkSet) -> Result<(), Failure> {
    let refused = |reason: String| {
        Failure::access(format!("trust the token: {reason}"))
            .hint("jwks_url turns signature checks on: check that it names the keys of this auth host")
    };
    let header = jsonwebtoken::decode_header(token).map_err(|error| refused(error.to_string()))?;
    // A symmetric algorithm would make the public key a secret that everybody has.
    if matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512) {
        return Err(refused(format!("its algorithm {:?} is not asymmetric", header.alg)));
    }
    let mut validation = Validation::new(header.alg);
    validation.validate_aud = false;
    validation.validate_nbf = true;
    let candidates = keys.keys.iter().filter(|key| match (&header.kid, &key.common.key_id) {
        (Some(wanted), Some(id)) => wanted == id,
        _ => true,
    });
    let mut reason = "no key has its id".to_owned();
    for key in candidates {
        let checked =
            DecodingKey::from_jwk(key).and_then(|key| jsonwebtoken::decode::<Value>(token, &key, &validation));
        match checked {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(refused(reason))
}

/// The token's life: a positive number is honoured however short; one that makes no sense counts as
/// short, a huge one is not believed.
fn token_life(expires_in: &Value) -> Duration {
    let seconds = match expires_in.as_f64() {
        Some(seconds) if seconds > 0.0 => seconds.min(TOKEN_LIFE_CEILING_SECS as f64),
        _ => TOKEN_LIFE_DEFAULT_SECS as f64,
    };
    Duration::from_secs_f64(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_life_is_honoured_and_nonsense_counts_as_short() {
        fn check(expires_in: Value, seconds: f64) {
            assert_eq!(token_life(&expires_in), Duration::from_secs_f64(seconds), "{expires_in}");
        }
        check(Value::from(3600), 3600.0);
        check(Value::from(1), 1.0);
        check(Value::from(0.5), 0.5);
        check(Value::from(86_400), 3600.0);
        for nonsense in [Value::Null, Value::from(0), Value::from(-5), Value::from("3600"), Value::Array(Vec::new())] {
            check(nonsense, 300.0);
        }
    }

    /// A token with these claims, and the keys that verify it.
    fn signed(claims: &Value) -> (String, JwkSet) {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        use jsonwebtoken::jwk::Jwk;
        use jsonwebtoken::{EncodingKey, Header};

        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), claims, &key).unwrap();
        (token, JwkSet { keys: vec![Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()] })
    }

    #[test]
    fn only_a_token_that_is_signed_and_valid_now_is_trusted() {
        fn check(claims: &str, trusted: bool) {
            let (token, keys) = signed(&serde_json::from_str(claims).unwrap());
            assert_eq!(verify(&token, &keys).is_ok(), trusted, "{claims}: {:?}", verify(&token, &keys));
        }
        let (far, past) = (4_102_444_800_u64, 946_684_800_u64);
        check(&format!(r#"{{"exp":{far}}}"#), true);
        check(&format!(r#"{{"exp":{far},"nbf":{past}}}"#), true);
        check(&format!(r#"{{"exp":{far},"nbf":{far}}}"#), false);
        check(&format!(r#"{{"exp":{past}}}"#), false);
        check(&format!(r#"{{"exp":"{far}"}}"#), false);
        check("{}", false);
        let (token, _) = signed(&serde_json::json!({ "exp": far }));
        let (_, other_keys) = signed(&serde_json::json!({ "exp": far }));
        assert!(verify(&token, &other_keys).is_err(), "signed by another key");
        assert!(verify(&token, &JwkSet { keys: Vec::new() }).is_err(), "no keys");
        let secret = jsonwebtoken::EncodingKey::from_secret(b"public");
        let symmetric =
            jsonwebtoken::encode(&jsonwebtoken::Header::default(), &serde_json::json!({ "exp": far }), &secret);
        assert!(verify(&symmetric.unwrap(), &other_keys).unwrap_err().message.contains("not asymmetric"));
    }
}
