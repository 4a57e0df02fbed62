//! BigQuery's REST API, tried again where that is safe: every request of ours either reads, or names
//! its job, table or row itself, so that a second time finds the first one's.

use std::future::Future;
use std::time::Duration;

use gcp_bigquery_client::Client;
use gcp_bigquery_client::error::BQError;
use gcp_bigquery_client::model::get_query_results_parameters::GetQueryResultsParameters;
use gcp_bigquery_client::model::query_request::QueryRequest;
use gcp_bigquery_client::model::table_row::TableRow;
use gcp_bigquery_client::yup_oauth2;
use gcp_bigquery_client::yup_oauth2::error::AuthErrorCode;

use crate::failure::SinkFailure;

/// Tries of one call.
const CALL_TRIES: u32 = 6;
/// The pause after the first of them; it doubles.
const CALL_PAUSE: Duration = Duration::from_millis(250);
/// The longest call: queries answer after [`QUERY_WAIT_MS`] at the latest.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long BigQuery holds a query's answer back for its result.
const QUERY_WAIT_MS: i32 = 20_000;
/// Rows asked for at once.
const QUERY_PAGE_ROWS: i32 = 10_000;

pub(super) struct Api {
    pub(super) client: Client,
    pub(super) project: String,
    pub(super) dataset: String,
    pub(super) location: String,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) struct ApiError {
    /// The HTTP status, where BigQuery itself answered, or 401 where it was not even asked for want
    /// of a token.
    pub(super) status: Option<i64>,
    pub(super) message: String,
    passes: bool,
}

impl ApiError {
    /// Whether a right is missing. Calls that come too fast have the same status.
    pub(super) fn is_forbidden(&self) -> bool {
        self.status == Some(403) && !self.passes
    }

    /// Errors that pass are those of "Error messages" in BigQuery's documentation whose advice is to
    /// retry, and those of the way there.
    fn of(error: BQError) -> Self {
        match error {
            BQError::ResponseError { error } => {
                let error = error.error;
                let reason = error.errors.first().and_then(|first| first.get("reason")).cloned().unwrap_or_default();
                let passes = matches!(error.code, 429 | 500 | 502 | 503 | 504)
                    || matches!(reason.as_str(), "rateLimitExceeded" | "jobRateLimitExceeded" | "backendError");
                Self { status: Some(error.code), message: error.message, passes }
            }
            BQError::RequestError(error) => {
                Self { status: None, message: without_url(error.to_string()), passes: true }
            }
            BQError::YupAuthError(error) => Self::of_sign_in(error),
            BQError::NoToken => Self::of_sign_in(yup_oauth2::Error::MissingAccessToken),
            other => Self { status: None, message: other.to_string(), passes: false },
        }
    }

    /// Why no token was got. What RFC 6749, section 5.2, lets a token endpoint say of a request stays
    /// true; what it says of itself, or what came of the way there, passes.
    fn of_sign_in(error: yup_oauth2::Error) -> Self {
        use yup_oauth2::Error;
        let passes = match &error {
            Error::AuthError(refusal) => matches!(
                &refusal.error,
                AuthErrorCode::Other(code) if matches!(code.as_str(), "internal_failure" | "temporarily_unavailable")
            ),
            Error::HttpError(_) | Error::HttpClientError(_) | Error::JSONError(_) | Error::MissingAccessToken => true,
            _ => false,
        };
        let message = match error {
            Error::AuthError(refusal) => refusal.to_string(),
            Error::JSONError(_) => "the answer is none of a token endpoint's".to_owned(),
            other => other.to_string(),
        };
        Self { status: (!passes).then_some(401), message: format!("no token: {message}"), passes }
    }

    /// Whether it says that a table is not there. A dataset that is not there is another matter.
    pub(super) fn is_no_table(&self) -> bool {
        self.status == Some(404) && self.message.starts_with("Not found: Table")
    }

    /// What to tell people.
    pub(super) fn failure(self, doing: &str) -> SinkFailure {
        let hint = match self.status {
            Some(401) => {
                "check that the service account's key is still valid and that this machine's clock is right; then \
                 `cxlake load`"
            }
            Some(403) => {
                "the service account needs roles/bigquery.jobUser on the project, roles/bigquery.dataEditor on the \
                 dataset and roles/storage.objectViewer on the bucket; then `cxlake load`"
            }
            Some(404) => "check project, dataset and location of the warehouse; then `cxlake load`",
            _ => "the lake is committed: `cxlake load` goes on where this stopped",
        };
        SinkFailure::load(format!("{doing}: {}", self.message), hint)
    }
}

/// A transport error's words, without the query of its URL.
fn without_url(text: String) -> String {
    match text.split_once(" for url (") {
        Some((before, _)) => before.to_owned(),
        None => text,
    }
}

impl Api {
    /// Calls, again where what failed passes.
    pub(super) async fn call<T, Call: Future<Output = Result<T, BQError>>>(
        &self,
        call: impl Fn() -> Call,
    ) -> Result<T, ApiError> {
        let mut pause = CALL_PAUSE;
        for attempt in 1.. {
            let outcome = match tokio::time::timeout(CALL_TIMEOUT, call()).await {
                Ok(outcome) => outcome.map_err(ApiError::of),
                Err(_) => Err(ApiError { status: None, message: "no answer in time".to_owned(), passes: true }),
            };
            match outcome {
                Err(error) if error.passes && attempt < CALL_TRIES => {
                    tracing::warn!(error = error.message, attempt, "BigQuery failed for now");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the last try returns")
    }

    /// The rows of a query that changes nothing, or may be done twice.
    pub(super) async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, ApiError> {
        let mut request = QueryRequest::new(sql);
        request.location = Some(self.location.clone());
        request.timeout_ms = Some(QUERY_WAIT_MS);
        request.max_results = Some(QUERY_PAGE_ROWS);
        request.use_query_cache = Some(false);
        let answer = self.call(|| self.client.job().query(&self.project, request.clone())).await?;
        let job = answer.job_reference.and_then(|job| job.job_id).unwrap_or_default();
        let mut rows = cells(answer.rows);
        let (mut is_complete, mut page) = (answer.job_complete.unwrap_or(false), answer.page_token);
        while !is_complete || page.is_some() {
            let parameters = GetQueryResultsParameters {
                location: Some(self.location.clone()),
                max_results: Some(QUERY_PAGE_ROWS),
                page_token: page.clone(),
                timeout_ms: Some(QUERY_WAIT_MS),
                ..GetQueryResultsParameters::default()
            };
            let answer =
                self.call(|| self.client.job().get_query_results(&self.project, &job, parameters.clone())).await?;
            rows.extend(cells(answer.rows));
            (is_complete, page) = (answer.job_complete.unwrap_or(false), answer.page_token);
        }
        Ok(rows)
    }

    /// A table's name in SQL.
    pub(super) fn sql_name(&self, table: &str) -> String {
        format!("`{}.{}.{table}`", self.project, self.dataset)
    }
}

fn cells(rows: Option<Vec<TableRow>>) -> Vec<Vec<Option<String>>> {
    let text = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let row = |row: TableRow| row.columns.unwrap_or_default().into_iter().map(|cell| text(cell.value)).collect();
    rows.unwrap_or_default().into_iter().map(row).collect()
}
