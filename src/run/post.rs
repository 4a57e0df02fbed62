//! A text posted to somebody who is told of a run.

use std::time::Duration;

/// Posts JSON once, and says why it was not taken. The URL can be a secret (it is, for most chat
/// services): it is in no message.
pub(super) async fn post(url: &str, token: Option<&str>, json: String, patience: Duration) -> Result<(), String> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(patience)
        .build()
        .map_err(|error| chain(&error.without_url()))?;
    let request = client.post(url).header(reqwest::header::CONTENT_TYPE, "application/json").body(json);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let answer = request.send().await.map_err(|error| chain(&error.without_url()))?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
}

/// An error with its causes: the first one alone says that something failed, not what.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
