//! What an answer means: done, passing, or final (`tenant-api.md`, "Errors" and the table below it).

use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::Value;

use super::address::Call;
use crate::vocabulary::{Failure, FailureKind};

/// The longest message of a tenant that is shown.
const MESSAGE_CHARACTERS: usize = 300;

/// An answer, read whole.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) request_id: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
}

/// Why a try of a call did not succeed.
#[derive(Clone, Debug)]
pub(super) enum Setback {
    /// It may succeed later.
    Passing { reason: String, throttled: bool, wait: Option<Duration> },
    /// The token is no longer good.
    Unauthorized { reason: String },
    /// It will not succeed.
    Final(Failure),
}

impl Setback {
    /// The same with its text changed.
    pub(super) fn map_text(self, change: impl Fn(String) -> String) -> Self {
        match self {
            Self::Passing { reason, throttled, wait } => Self::Passing { reason: change(reason), throttled, wait },
            Self::Unauthorized { reason } => Self::Unauthorized { reason: change(reason) },
            Self::Final(failure) => Self::Final(Failure { message: change(failure.message), ..failure }),
        }
    }

    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self::Passing { reason: reason.into(), throttled: false, wait: None }
    }
}

/// Sorts an answer by its status.
pub(super) fn judge(call: Call, answer: Answer, wait: Option<Duration>) -> Result<Answer, Setback> {
    // A page can be many megabytes: it is looked into only where it must be explained.
    if answer.status.is_success() {
        return Ok(answer);
    }
    let reason = describe(&answer);
    match answer.status.as_u16() {
        401 if call == Call::Token => Err(Setback::Final(refused_credentials(&reason))),
        400 if call == Call::Token => Err(Setback::Final(refused_credentials(&reason))),
        401 => Err(Setback::Unauthorized { reason }),
        403 => Err(Setback::Final(
            Failure::access(format!("{}: {reason}", call.purpose()))
                .hint(format!("the client needs {}", call.requirements())),
        )),
        404 => Err(Setback::Final(Failure::access(format!("{}: {reason}", call.purpose())).hint(
            "the region is wrong for this tenant (see [tenants.….regions]), or the report does not exist there",
        ))),
        429 => Err(Setback::Passing { reason, throttled: true, wait }),
        408 | 500 | 502 | 503 | 504 => Err(Setback::Passing { reason, throttled: false, wait }),
        500..=599 => Err(Setback::Final(
            Failure::unavailable(format!("{}: {reason}", call.purpose()))
                .hint("the tenant cannot answer this call at all: ask its administrator"),
        )),
        300..=399 => Err(Setback::Final(
            Failure::access(format!("{}: {reason}: redirects are not followed", call.purpose()))
                .hint("configure the host that answers itself: a token goes to configured hosts only"),
        )),
        _ => Err(Setback::Final(
            Failure::new(FailureKind::Configuration, format!("{}: {reason}", call.purpose()))
                .hint("the tenant refuses the request as it is: check the report, its metrics and its group"),
        )),
    }
}

fn refused_credentials(reason: &str) -> Failure {
    Failure::access(format!("get a token: {reason}")).hint(format!(
        "check client_id and client_secret; the client needs {} and the scopes {}",
        Call::Token.requirements(),
        super::address::SCOPES
    ))
}

/// The status, the best message in the body, and the request's id; never the body itself.
pub(super) fn describe(answer: &Answer) -> String {
    let mut text = answer.status.to_string();
    if let Some(message) = message(&answer.body).filter(|message| !message.is_empty()) {
        text.push_str(": ");
        text.extend(printable(&message).take(MESSAGE_CHARACTERS));
    } else if is_html(answer) {
        text.push_str(": an HTML page");
    }
    if let Some(id) = &answer.request_id {
        text.push_str(" (request ");
        text.extend(printable(id).take(MESSAGE_CHARACTERS));
        text.push(')');
    }
    text
}

/// Whether an answer is a page for people, as proxies and login forms send it.
pub(super) fn is_html(answer: &Answer) -> bool {
    answer.content_type.as_deref().is_some_and(|content_type| content_type.contains("html"))
        || answer.body.trim_ascii_start().starts_with(b"<")
}

/// The text without control characters: it goes to logs and terminals.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(|character| if character.is_control() { ' ' } else { character })
}

/// The message of an answer's body, for people.
pub(super) fn message_of(answer: &Answer) -> Option<String> {
    message(&answer.body).map(|message| printable(&message).take(MESSAGE_CHARACTERS).collect())
}

fn message(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    body.pointer("/error/message")
        .and_then(text)
        .or_else(|| {
            let (error, description) =
                (body.get("error").and_then(text)?, body.get("error_description").and_then(text));
            Some(description.map_or(error.clone(), |description| format!("{error}: {description}")))
        })
        .or_else(|| body.get("error_description").and_then(text))
        .or_else(|| body.get("message").and_then(text))
        .or_else(|| body.get("Message").and_then(text))
        .or_else(|| body.pointer("/errors/0/message").and_then(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            request_id: Some("r-1".to_owned()),
            content_type: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn the_best_message_of_each_body_is_shown() {
        for (body, expected) in [
            (r#"{"error":{"code":"x","message":"no metric"}}"#, "no metric"),
            (r#"{"error":"invalid_client","error_description":"unknown"}"#, "invalid_client: unknown"),
            (r#"{"message":"gateway"}"#, "gateway"),
            (r#"{"Message":"dotnet"}"#, "dotnet"),
            (r#"{"errors":[{"message":"first"}]}"#, "first"),
            ("<html>secret</html>", "an HTML page"),
        ] {
            assert_eq!(describe(&answer(500, body)), format!("500 Internal Server Error: {expected} (request r-1)"));
        }
        assert_eq!(describe(&answer(500, "garbage")), "500 Internal Server Error (request r-1)");
        assert_eq!(
            describe(&answer(500, "{\"message\":\"a\\u001b[31m\\nb\"}")),
            "500 Internal Server Error: a [31m b (request r-1)"
        );
    }

    #[test]
    fn statuses_are_sorted_by_what_the_operator_does_next() {
        fn check(status: u16, expected: Option<u8>) {
            let exit_code = match judge(Call::DataDownload, answer(status, ""), None) {
                Err(Setback::Final(failure)) => Some(failure.kind.exit_code()),
                Err(Setback::Passing { .. } | Setback::Unauthorized { .. }) => None,
                Ok(_) => Some(0),
            };
            assert_eq!(exit_code, expected, "{status}");
        }
        check(200, Some(0));
        check(204, Some(0));
        check(400, Some(2));
        check(422, Some(2));
        check(302, Some(3));
        check(403, Some(3));
        check(404, Some(3));
        check(501, Some(5));
        check(505, Some(5));
        for passing in [401, 408, 429, 500, 502, 503, 504] {
            check(passing, None);
        }
    }
}
