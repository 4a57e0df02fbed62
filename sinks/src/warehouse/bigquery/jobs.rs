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
        loop {
            attempt += 1;
            let id = format!("{name}_a{attempt}");
            let (end, is_own) = match self.find(&id).await? {
                Some(job) => (self.ended(&id, job).await?, false),
                None => {
                    self.wait_for_others(name).await?;
                    self.insert_or_adopt(&id, configuration().await?).await?
                }
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

    /// Runs a job that is nobody else's business, to its end.
    pub(super) async fn run_alone(&self, id: &str, configuration: JobConfiguration) -> Result<(), SinkFailure> {
        match self.insert_or_adopt(id, configuration).await? {
            (End::Well(_), _) => Ok(()),
            (End::Badly { reason, message }, _) => Err(failed(id, &reason, &message)),
        }
    }

    /// Waits for other jobs over the same day: one that began before the newest commit may have read
    /// what stood in the files before, and must not end after ours.
    async fn wait_for_others(&self, name: &str) -> Result<(), SinkFailure> {
        let of_day = name.rsplit_once('_').map_or(name, |(of_day, _)| of_day);
        for state in [StateFilter::Pending, StateFilter::Running] {
            let parameters = JobListParameters { state_filter: Some(state), ..JobListParameters::default() };
            let list = || async {
                let pages = self.api.client.job().get_job_list(&self.api.project, Some(parameters.clone()));
                pages.try_collect::<Vec<_>>().await
            };
            let pages = self.api.call(list).await;
            let pages = pages.map_err(|error| error.failure("look for BigQuery jobs that are under way"))?;
            for job in pages.into_iter().flat_map(|page| page.jobs.unwrap_or_default()) {
                let Some(id) = job.job_reference.and_then(|job| job.job_id) else { continue };
                if id.strip_prefix(of_day).is_some_and(|rest| rest.starts_with('_'))
                    && let Some(job) = self.find(&id).await?
                {
                    tracing::info!(job = id, "another load of the day is under way: waiting for it");
                    self.ended(&id, job).await?;
                }
            }
        }
        Ok(())
    }

    /// Makes a job, or finds the one that has its id; waits until it ended. True where it was made
    /// here.
    async fn insert_or_adopt(&self, id: &str, configuration: JobConfiguration) -> Result<(End, bool), SinkFailure> {
        let job = Job {
            job_reference: Some(JobReference {
                job_id: Some(id.to_owned()),
                location: Some(self.api.location.clone()),
                project_id: Some(self.api.project.clone()),
            }),
            configuration: Some(JobConfiguration { labels: Some(self.labels.clone()), ..configuration }),
            ..Job::default()
        };
        let (job, is_own) = match self.api.call(|| self.api.client.job().insert(&self.api.project, job.clone())).await {
            Ok(job) => (job, true),
            Err(ApiError { status: Some(409), .. }) => {
                tracing::info!(job = id, "the job is there already: waiting for it");
                (self.job(id).await?, false)
            }
            Err(error) => return Err(error.failure(&format!("make the BigQuery job {id}"))),
        };
        Ok((self.ended(id, job).await?, is_own))
    }

    /// A job that may not be there.
    async fn find(&self, id: &str) -> Result<Option<Job>, SinkFailure> {
        let location = Some(self.api.location.as_str());
        match self.api.call(|| self.api.client.job().get_job(&self.api.project, id, location)).await {
            Ok(job) => Ok(Some(job)),
            Err(ApiError { status: Some(404), .. }) => Ok(None),
            Err(error) => Err(error.failure(&format!("look at the BigQuery job {id}"))),
        }
    }

    async fn job(&self, id: &str) -> Result<Job, SinkFailure> {
        self.find(id).await?.ok_or_else(|| {
            SinkFailure::load(
                format!("look at the BigQuery job {id}: it is not there"),
                "check the warehouse's location: it must be the dataset's; then `cxlake load`",
            )
        })
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
            job = self.job(id).await?;
        }
    }
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
