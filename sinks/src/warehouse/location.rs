//! Where a warehouse is, and who loads.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Warehouse;
use crate::failure::SinkFailure;

/// A warehouse of one of the kinds.
#[derive(Clone, Debug)]
pub enum WarehouseLocation {
    /// BigQuery.
    BigQuery(BigQueryLocation),
    /// Snowflake.
    Snowflake(SnowflakeLocation),
}

/// A dataset of BigQuery.
#[derive(Clone)]
pub struct BigQueryLocation {
    /// The project that holds the dataset and pays for jobs.
    pub project: String,
    /// The dataset.
    pub dataset: String,
    /// Where it is: `EU`, `US`, `europe-west3`.
    pub location: String,
    /// A service account's key as JSON; application default credentials where it is left out.
    pub credentials: Option<String>,
    /// The API's host, where it is not Google's.
    pub endpoint: Option<String>,
    /// How a day replaces what was there.
    pub mode: LoadMode,
}

/// How a day replaces what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadMode {
    /// The partition as a whole.
    Replace,
    /// Row by row, by key: rows that are no longer there are deleted.
    Merge,
}

/// A schema of Snowflake.
#[derive(Clone)]
pub struct SnowflakeLocation {
    /// The account's identifier: `acme-prod`.
    pub account: String,
    /// The user.
    pub user: String,
    /// How the user is known.
    pub credentials: SnowflakeCredentials,
    /// The database.
    pub database: String,
    /// The schema.
    pub schema: String,
    /// The virtual warehouse that loads.
    pub warehouse: String,
    /// The role; the user's default one where it is left out.
    pub role: Option<String>,
    /// The external stage through which files are read.
    pub stage: String,
    /// The API's host, where it is not the account's.
    pub endpoint: Option<String>,
}

/// How a Snowflake user is known.
#[derive(Clone)]
pub enum SnowflakeCredentials {
    /// A private RSA key, PKCS#8 or PKCS#1 in PEM, not encrypted.
    PrivateKey(String),
    /// A programmatic access token.
    AccessToken(String),
}

/// Who loads.
#[derive(Clone)]
pub struct Loader {
    /// Where the files are.
    pub lake_url: String,
    /// What marks jobs and statements.
    pub run_id: String,
    /// The clock.
    pub now: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
}

impl fmt::Debug for BigQueryLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BigQueryLocation({}.{})", self.project, self.dataset)
    }
}

impl fmt::Debug for SnowflakeLocation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SnowflakeLocation({}.{}.{})", self.account, self.database, self.schema)
    }
}

impl WarehouseLocation {
    /// The warehouse.
    ///
    /// # Errors
    /// Where the credentials make no sense, or this build has no such warehouse.
    pub async fn open(&self, loader: &Loader) -> Result<Box<dyn Warehouse>, SinkFailure> {
        match self {
            #[cfg(feature = "bigquery")]
            Self::BigQuery(location) => Ok(Box::new(super::bigquery::BigQuery::open(location, loader).await?)),
            #[cfg(feature = "snowflake")]
            Self::Snowflake(location) => Ok(Box::new(super::snowflake::Snowflake::open(location, loader)?)),
            #[allow(unreachable_patterns, reason = "which warehouses there are is the build's choice")]
            other => Err(SinkFailure::configuration(
                format!("open {other:?} for {}: this build has no such warehouse", loader.run_id),
                "build with the feature bigquery or snowflake",
            )),
        }
    }
}
