//! Snowflake's SQL API, version 2: statements are submitted under a request id of their own, so that
//! one whose answer was lost can be submitted again without being run again ("Resubmitting a
//! request"), and looked after by their handle.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::credentials::Credentials;
use crate::failure::SinkFailure;
use crate::warehouse::{Loader, SnowflakeLocation};

/// Tries of one request.
const CALL_TRIES: u32 = 6;
/// The pause after the first of them; it doubles.
const CALL_PAUSE: Duration = Duration::from_millis(250);
/// The longest request: statements are submitted to run by themselves.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The first pause between looks at a statement; it doubles.
const POLL_PAUSE: Duration = Duration::from_millis(50);
/// The longest one.
const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(5);

/// The API of an account, in the context of a schema.
pub(super) struct Api {
    client: reqwest::Client,
    host: String,
    credentials: Credentials,
    context: Context,
    loader: Loader,
    /// Handles of statements that Snowflake works on for this process.
    active: Mutex<Vec<String>>,
}

#[derive(Clone, Serialize)]
struct Context {
    database: String,
    schema: String,
    warehouse: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
}

#[derive(Serialize)]
struct Submission<'a> {
    statement: &'a str,
    #[serde(flatten)]
    context: &'a Context,
    parameters: BTreeMap<&'static str, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    code: String,
    message: String,
    sql_state: Option<String>,
    statement_handle: Option<String>,
    result_set_meta_data: Option<ResultShape>,
    data: Vec<Vec<Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResultShape {
    row_type: Vec<ResultColumn>,
    /// The parts that a long result is cut into.
    partition_info: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResultColumn {
    name: String,
}

/// What a statement gave.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) handle: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum ApiError {
    /// Snowflake refuses who asks.
    Access(String),
    /// The statement failed.
    Statement { sql_state: String, message: String },
    /// The request failed, and would again.
    Request(String),
}

impl ApiError {
    pub(super) fn failure(self, doing: &str) -> SinkFailure {
        let (message, hint) = match self {
            Self::Access(message) => (
                message,
                "check account, user and key or token (`DESC USER` shows RSA_PUBLIC_KEY_FP), and the role's rights: USAGE \
                 on database, schema, warehouse and stage, CREATE TABLE, INSERT and DELETE; then `cxlake load`",
            ),
            Self::Statement { message, .. } => (
                message,
                "the lake is committed, and the table as it was: mend what the message says, then `cxlake load`",
            ),
            Self::Request(message) => (message, "the lake is committed: `cxlake load` goes on where this stopped"),
        };
        SinkFailure::load(format!("{doing}: {message}"), hint)
    }

    /// Whether it says that a table is not there.
    pub(super) fn is_no_table(&self) -> bool {
        matches!(self, Self::Statement { sql_state, .. } if sql_state == "42S02")
    }

    /// Whether another transaction stood in the way: "Transactions", lock wait timeout and waiters.
    pub(super) fn is_about_locks(&self) -> bool {
        let says = |message: &str| {
            let message = message.to_lowercase();
            ["(000625)", "lock timeout", "lock wait", "locked", "deadlock", "write-write conflict"]
                .iter()
                .any(|word| message.contains(word))
        };
        matches!(self, Self::Statement { message, .. } if says(message))
    }

    /// What our own conditions in SQL say, where one of them made the statement fail.
    pub(super) fn own_words(&self) -> Option<&str> {
        let Self::Statement { message, .. } = self else { return None };
        let (_, words) = message.split_once(super::statements::OWN_WORDS)?;
        Some(words.split(['\'', '"']).next().unwrap_or(words))
    }
}

impl Api {
    pub(super) fn open(location: &SnowflakeLocation, loader: &Loader) -> Result<Self, SinkFailure> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("cxlake/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .timeout(CALL_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| SinkFailure::defect(format!("make an HTTP client: {error}")))?;
        let host = match &location.endpoint {
            Some(endpoint) => endpoint.clone(),
            // Underscores of an account's name are no part of a host's.
            None => format!("https://{}.snowflakecomputing.com", location.account.replace('_', "-").to_lowercase()),
        };
        let context = Context {
            database: location.database.clone(),
            schema: location.schema.clone(),
            warehouse: location.warehouse.clone(),
            role: location.role.clone(),
        };
        let credentials = Credentials::of(location)?;
        Ok(Self { client, host, credentials, context, loader: loader.clone(), active: Mutex::default() })
    }

    /// Runs one short statement: Snowflake holds its answer back for the result, for 45 seconds.
    pub(super) async fn statement(&self, sql: &str) -> Result<Rows, ApiError> {
        self.run(sql, BTreeMap::new(), "").await
    }

    /// Runs several statements as one request: the session, and a transaction that is open in it,
    /// ends where one of them fails. Its handle is known at once, so that it can be cancelled.
    pub(super) async fn script(&self, statements: &[String]) -> Result<Rows, ApiError> {
        let count = BTreeMap::from([("MULTI_STATEMENT_COUNT", statements.len().to_string())]);
        self.run(&statements.join(";\n"), count, "&async=true").await
    }

    async fn run(
        &self,
        sql: &str,
        mut parameters: BTreeMap<&'static str, String>,
        how: &str,
    ) -> Result<Rows, ApiError> {
        parameters.insert("QUERY_TAG", format!("cxlake {}", self.loader.run_id));
        let submission = Submission { statement: sql, context: &self.context, parameters };
        let body = serde_json::to_value(&submission).map_err(|error| ApiError::Request(error.to_string()))?;
        let request_id = uuid::Uuid::now_v7();
        let first = format!("/api/v2/statements?requestId={request_id}{how}");
        let again = format!("{first}&retry=true");
        let (status, answer) = self.call(Method::POST, &first, &again, Some(&body)).await?;
        let answer = if status == StatusCode::ACCEPTED { self.wait(answer).await? } else { answer };
        let shape = answer.result_set_meta_data.unwrap_or_default();
        if shape.partition_info.len() > 1 {
            return Err(ApiError::Request("the result is longer than one part".to_owned()));
        }
        Ok(Rows {
            handle: answer.statement_handle.unwrap_or_default(),
            columns: shape.row_type.into_iter().map(|column| column.name).collect(),
            rows: answer.data,
        })
    }

    /// Waits for a statement's end. Where nobody waits any longer, its handle stays, to be cancelled.
    async fn wait(&self, submitted: Answer) -> Result<Answer, ApiError> {
        let handle = submitted.statement_handle.unwrap_or_default();
        self.active_handles().push(handle.clone());
        let path = format!("/api/v2/statements/{handle}");
        let mut pause = POLL_PAUSE;
        let outcome = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_POLL_PAUSE);
            match self.call(Method::GET, &path, &path, None).await {
                Ok((StatusCode::ACCEPTED, _)) => {}
                outcome => break outcome,
            }
        };
        self.active_handles().retain(|active| *active != handle);
        outcome.map(|(_, answer)| answer)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        path_again: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Answer), ApiError> {
        let mut pause = CALL_PAUSE;
        for attempt in 1.. {
            let path = if attempt == 1 { path } else { path_again };
            let error = match self.try_call(method.clone(), path, body).await {
                Ok((status, answer)) if status.is_success() => return Ok((status, answer)),
                Ok((status, answer)) if is_final(status) => return Err(refused(status, answer)),
                Ok((status, answer)) => format!("{status}: {}", answer.message),
                Err(error) => error,
            };
            if attempt >= CALL_TRIES {
                return Err(ApiError::Request(error));
            }
            tracing::warn!(error, attempt, "Snowflake failed for now");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last try returns")
    }

    async fn try_call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, Answer), String> {
        let (token, kind) =
            self.credentials.token((self.loader.now)().into()).map_err(|failure| failure.to_string())?;
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.host))
            .bearer_auth(token)
            .header("X-Snowflake-Authorization-Token-Type", kind)
            .header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(body);
        }
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let response = request.send().await.map_err(plain)?;
        let status = response.status();
        let text = response.bytes().await.map_err(plain)?;
        match serde_json::from_slice(&text) {
            Ok(answer) => Ok((status, answer)),
            // A proxy's page is no answer of Snowflake's.
            Err(_) if !status.is_success() && is_final(status) => Ok((status, Answer::default())),
            Err(_) => Err(format!("{status} with a body that is no answer of the SQL API")),
        }
    }

    /// Ends all statements that are still worked on.
    pub(super) async fn cancel(&self) {
        let active = std::mem::take(&mut *self.active_handles());
        for handle in active {
            let path = format!("/api/v2/statements/{handle}/cancel");
            match self.try_call(Method::POST, &path, None).await {
                Ok((status, _)) if status.is_success() => tracing::info!(handle, "the statement was cancelled"),
                outcome => tracing::warn!(handle, ?outcome, "the statement was not cancelled"),
            }
        }
    }

    fn active_handles(&self) -> MutexGuard<'_, Vec<String>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Statuses that another try does not change ("Handling responses").
fn is_final(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS
}

fn refused(status: StatusCode, answer: Answer) -> ApiError {
    let Answer { code, message, sql_state, .. } = answer;
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ApiError::Access(format!("{status}: {message} ({code})")),
        // 408 is the statement's own time, not the request's.
        StatusCode::UNPROCESSABLE_ENTITY | StatusCode::REQUEST_TIMEOUT => {
            ApiError::Statement { sql_state: sql_state.unwrap_or_default(), message: format!("{message} ({code})") }
        }
        _ => ApiError::Request(format!("{status}: {message} ({code})")),
    }
}
