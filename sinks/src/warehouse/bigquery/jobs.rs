//! Jobs that happen once: each has an id that only its work decides, so that a lost answer, or
//! another process, finds the job instead of making a second one.

use std::collections::HashMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::future::BoxFuture;
use gcp_bigquery_client::model::job::Job;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_list_parameters::{JobListParameters, StateFilter};
use gcp_bigquery_client::model::job_reference::JobReference;

use super::BigQuery;
use super::api::ApiError;
use crate::failure::SinkFailure;
use crate::warehouse::{LOAD_TRIES, TableLoad};

/// The first pause between looks at a job; it doubles.
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// The longest one.
const LONGEST_POLL_PAUSE: Duration = Duration::from_secs(5);
/// Digits of a load's hash in job ids.
const HASH_DIGITS: usize = 32;

/// A job that ended well.
#[derive(Debug)]
pub(super) struct EndedJob {
    pub(super) id: String,
    /// Rows that a load job wrote.
    pub(super) output_rows: Option<u64>,
}

/// How a job ended.
enum End {
    Well(EndedJob),
    Badly { reason: String, message: String },
}

/// What has a job's id.
enum Found {
    Job(Box<Job>),
    /// One that we may not see, and what BigQuery says of it.
    OfAnother(ApiError),
    Nothing,
}

impl BigQuery {
    /// What jobs of a load are named by: letters, digits, `_` and `-` are allowed.
    pub(super) fn job_name(&self, load: &TableLoad) -> String {
        let table = plain(&load.table.name);
        let id = load.load_id(&self.target());
        format!("cxlake_{table}_{}_{}", load.date.format("%Y%m%d"), &id[..HASH_DIGITS])
    }

    /// Sees to it that a load's job ends well, once. Ids are counted from 1: where one failed for good,
    /// or must be done `again`, the next number is a new attempt. `configuration` is made where there
    /// is no such job yet.
    pub(super) async fn run_once<'a>(
        &self,
        name: &str,
        again: bool,
        configuration: &(dyn Fn() -> BoxFuture<'a, Result<JobConfiguration, SinkFailure>> + Sync),
    ) -> Result<EndedJob, SinkFailure> {
        let mut own_tries = 0;
        let mut attempt = 0_u32;
        // What another user's job stood in the way of.
        let mut unused = None;
        loop {
            attempt += 1;
            let id = format!("{name}_a{attempt}");
            let made = match self.find(&id).await? {
                Found::Job(job) => Some((self.ended(&id, *job).await?, false)),
                // Whether a job is another's, or just not there, only making it tells for certain.
                Found::OfAnother(_) | Found::Nothing => {
                    self.wait_for_others(name).await?;
                    let made = match unused.take() {
                        Some(made) => made,
                        None => configuration().await?,
                    };
                    let ended = self.insert_or_adopt(&id, made.clone()).await?;
                    if ended.is_none() {
                        unused = Some(made);
                    }
                    ended
                }
            };
            let Some((end, is_own)) = made else {
                tracing::info!(job = id, "the job is another user's, and its end is not for us to see: trying another");
                continue;
            };
            match end {
                End::Well(job) if is_own || !again => return Ok(job),
                End::Well(_) => {}
                End::Badly { reason, message } => {
                    own_tries += u32::from(is_own);
                    if is_own && (!passes(&reason) || own_tries >= LOAD_TRIES) {
                        return Err(failed(&id, &reason, &message));
                    }
                    tracing::warn!(job = id, reason, message, "a load job failed: trying another");
                }
            }
        }
    }

    /// Runs a job that is nobody else's business, and may be done twice, to its end.
    pub(super) async fn run_alone(&self, name: &str, configuration: JobConfiguration) -> Result<(), SinkFailure> {
        for attempt in 1.. {
            let id = format!("{name}_a{attempt}");
            match self.insert_or_adopt(&id, configuration.clone()).await? {
                Some((End::Well(_), _)) => return Ok(()),
                Some((End::Badly { reason, message }, _)) if attempt < LOAD_TRIES && passes(&reason) => {
                    tracing::warn!(job = id, reason, message, "a load job failed: trying another");
                }
                Some((End::Badly { reason, message }, _)) => return Err(failed(&id, &reason, &message)),
                None => {}
            }
        }
        unreachable!("the last try returns")
    }

    /// Waits for other jobs over the same day: one that began before the newest commit may have read
    /// what stood in the files before, and must not end after ours.
    async fn wait_for_others(&self, name: &str) -> Result<(), SinkFailure> {
        let of_day = name.rsplit_once('_').map_or(name, |(of_day, _)| of_day);
        let mut pause = POLL_PAUSE;
        while let Some(job) = self.under_way(of_day).await? {
            tracing::info!(job, "another load of the day is under way: waiting for it");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_POLL_PAUSE);
        }
        Ok(())
    }

    /// A job under way whose id begins so: of all users', where we may see those.
    async fn under_way(&self, of_day: &str) -> Result<Option<String>, SinkFailure> {
        for state in [StateFilter::Pending, StateFilter::Running] {
            let list = async |all_users: bool| {
                let parameters = JobListParameters {
                    state_filter: Some(state.clone()),
                    all_users: all_users.then_some(true),
                    ..JobListParameters::default()
                };
                let pages = || async {
                    let pages = self.api.client.job().get_job_list(&self.api.project, Some(parameters.clone()));
                    pages.try_collect::<Vec<_>>().await
                };
                self.api.call(pages).await
            };
            let pages = match list(true).await {
                Err(error) if error.is_forbidden() => list(false).await,
                pages => pages,
            };
            let pages = pages.map_err(|error| error.failure("look for BigQuery jobs that are under way"))?;
            let jobs = pages.into_iter().flat_map(|page| page.jobs.unwrap_or_default());
            let mut ids = jobs.filter_map(|job| job.job_reference.and_then(|job| job.job_id));
            let is_of_day = |id: &String| id.strip_prefix(of_day).is_some_and(|rest| rest.starts_with('_'));
            if let Some(id) = ids.find(is_of_day) {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Makes a job, or finds the one that has its id; waits until it ended. True where it was made
    /// here; nothing where it is another user's.
    async fn insert_or_adopt(
        &self,
        id: &str,
        configuration: JobConfiguration,
    ) -> Result<Option<(End, bool)>, SinkFailure> {
        let job = Job {
            job_reference: Some(JobReference {
                job_id: Some(id.to_owned()),
                location: Some(self.api.location.clone()),
                project_id: Some(self.api.project.clone()),
            }),
            configuration: Some(JobConfiguration { labels: Some(self.labels.clone()), ..configuration }),
            ..Job::default()
        };
        match self.api.call(|| self.api.client.job().insert(&self.api.project, job.clone())).await {
            Ok(job) => Ok(Some((self.ended(id, job).await?, true))),
            Err(ApiError { status: Some(409), .. }) => {
                tracing::info!(job = id, "the job is there already: waiting for it");
                match self.find(id).await? {
                    Found::Job(job) => Ok(Some((self.ended(id, *job).await?, false))),
                    Found::OfAnother(_) => Ok(None),
                    Found::Nothing => Err(not_there(id)),
                }
            }
            Err(error) => Err(error.failure(&format!("make the BigQuery job {id}"))),
        }
    }

    /// A job that may not be there. One of another user needs a right that who loads need not have ("Jobs: get").
    async fn find(&self, id: &str) -> Result<Found, SinkFailure> {
        let location = Some(self.api.location.as_str());
        match self.api.call(|| self.api.client.job().get_job(&self.api.project, id, location)).await {
            Ok(job) => Ok(Found::Job(Box::new(job))),
            Err(ApiError { status: Some(404), .. }) => Ok(Found::Nothing),
            Err(error) if error.is_forbidden() => Ok(Found::OfAnother(error)),
            Err(error) => Err(error.failure(&format!("look at the BigQuery job {id}"))),
        }
    }

    async fn ended(&self, id: &str, mut job: Job) -> Result<End, SinkFailure> {
        let mut pause = POLL_PAUSE;
        loop {
            let status = job.status.unwrap_or_default();
            if status.state.as_deref() == Some("DONE") {
                let Some(error) = status.error_result else {
                    let load = job.statistics.and_then(|statistics| statistics.load);
                    let output_rows = load.and_then(|load| load.output_rows?.parse().ok());
                    return Ok(End::Well(EndedJob { id: id.to_owned(), output_rows }));
                };
                return Ok(End::Badly {
                    reason: error.reason.unwrap_or_default(),
                    message: error.message.unwrap_or_default(),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_POLL_PAUSE);
            job = match self.find(id).await? {
                Found::Job(job) => *job,
                Found::OfAnother(error) => return Err(error.failure(&format!("look at the BigQuery job {id}"))),
                Found::Nothing => return Err(not_there(id)),
            };
        }
    }
}

fn not_there(id: &str) -> SinkFailure {
    SinkFailure::load(
        format!("look at the BigQuery job {id}: it is not there"),
        "check the warehouse's location: it must be the dataset's; then `cxlake load`",
    )
}

fn failed(id: &str, reason: &str, message: &str) -> SinkFailure {
    SinkFailure::load(
        format!("load into BigQuery: the job {id} failed: {message} ({reason})"),
        "the lake is committed, and the table as it was: mend what the message says, then `cxlake load`",
    )
}

/// Whether BigQuery's "Error messages" advise to try a job that failed like that again.
fn passes(reason: &str) -> bool {
    matches!(
        reason,
        "backendError"
            | "internalError"
            | "jobBackendError"
            | "jobInternalError"
            | "jobRateLimitExceeded"
            | "rateLimitExceeded"
            | "stopped"
            | "tableUnavailable"
    )
}

/// A text of the characters that job ids and labels may have.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_ascii_alphanumeric() || char == '-' { char } else { '_' }).collect()
}

/// What marks the jobs of a run: labels are at most 63 lower-case characters each ("Requirements for
/// labels").
pub(super) fn labels(run_id: &str) -> HashMap<String, String> {
    let mut labels = HashMap::from([("tool".to_owned(), "cxlake".to_owned())]);
    labels.insert("run_id".to_owned(), label(run_id));
    for (label_key, variable) in [("dag_id", "AIRFLOW_CTX_DAG_ID"), ("task_id", "AIRFLOW_CTX_TASK_ID")] {
        if let Ok(value) = std::env::var(variable) {
            labels.insert(label_key.to_owned(), label(&value));
        }
    }
    labels
}

fn label(text: &str) -> String {
    plain(text).to_lowercase().chars().take(63).collect()
}
