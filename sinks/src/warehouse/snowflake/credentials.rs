//! How a user is known to Snowflake ("Authenticating to the server", SQL API).

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{PrivatePkcs1KeyDer, PrivatePkcs8KeyDer};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::failure::SinkFailure;
use crate::warehouse::{SnowflakeCredentials, SnowflakeLocation};

/// Snowflake takes tokens that live for an hour at most.
const TOKEN_LIFE: Duration = Duration::from_secs(59 * 60);
/// A token is made anew after this time.
const TOKEN_AGE: Duration = Duration::from_secs(30 * 60);

/// What goes into the headers of each request.
pub(super) struct Credentials {
    kind: Kind,
}

enum Kind {
    KeyPair { key: EncodingKey, issuer: String, subject: String, token: Mutex<Option<(SystemTime, String)>> },
    AccessToken(String),
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    iat: u64,
    exp: u64,
}

impl Credentials {
    pub(super) fn of(location: &SnowflakeLocation) -> Result<Self, SinkFailure> {
        let pem = match &location.credentials {
            SnowflakeCredentials::AccessToken(token) => return Ok(Self { kind: Kind::AccessToken(token.clone()) }),
            SnowflakeCredentials::PrivateKey(pem) => pem.as_bytes(),
        };
        let (key, fingerprint) = key_pair(pem).ok_or_else(|| {
            SinkFailure::configuration(
                "read the warehouse's private_key: it is no RSA key in PEM, or it is encrypted",
                "make one by `openssl genrsa 2048 | openssl pkcs8 -topk8 -nocrypt`",
            )
        })?;
        // An account locator's region is no part of the name here, and both are upper-case.
        let account = location.account.split('.').next().unwrap_or_default().to_uppercase();
        let subject = format!("{account}.{}", location.user.to_uppercase());
        let issuer = format!("{subject}.SHA256:{fingerprint}");
        Ok(Self { kind: Kind::KeyPair { key, issuer, subject, token: Mutex::new(None) } })
    }

    /// The token, and the name of its kind.
    pub(super) fn token(&self, now: SystemTime) -> Result<(String, &'static str), SinkFailure> {
        let (key, issuer, subject, token) = match &self.kind {
            Kind::AccessToken(token) => return Ok((token.clone(), "PROGRAMMATIC_ACCESS_TOKEN")),
            Kind::KeyPair { key, issuer, subject, token } => (key, issuer, subject, token),
        };
        let mut token = token.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_young = |made: SystemTime| now.duration_since(made).is_ok_and(|age| age < TOKEN_AGE);
        let fresh = match token.take() {
            Some((made, text)) if is_young(made) => (made, text),
            _ => {
                let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let claims = Claims { iss: issuer, sub: subject, iat: seconds(now), exp: seconds(now + TOKEN_LIFE) };
                let text = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key);
                (now, text.map_err(|error| SinkFailure::defect(format!("sign a token for Snowflake: {error}")))?)
            }
        };
        let text = fresh.1.clone();
        *token = Some(fresh);
        Ok((text, "KEYPAIR_JWT"))
    }
}

/// A key, and the SHA-256 of its public half in Base64, as `DESC USER` shows it.
fn key_pair(pem: &[u8]) -> Option<(EncodingKey, String)> {
    let pair = match (PrivatePkcs8KeyDer::from_pem_slice(pem), PrivatePkcs1KeyDer::from_pem_slice(pem)) {
        (Ok(der), _) => KeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()?,
        (_, Ok(der)) => KeyPair::from_der(der.secret_pkcs1_der()).ok()?,
        _ => return None,
    };
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    Some((EncodingKey::from_rsa_pem(pem).ok()?, base64(&Sha256::digest(public.as_ref()))))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
