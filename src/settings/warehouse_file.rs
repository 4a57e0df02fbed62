//! `[warehouses.NAME]` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::SecretSource;

/// A warehouse.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Warehouse {
    /// A dataset of BigQuery. It loads from `gs://` only.
    BigQuery(BigQuery),
    /// A schema of Snowflake.
    Snowflake(Snowflake),
}

/// A dataset of BigQuery.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BigQuery {
    /// The project that holds the dataset and pays for jobs.
    pub project: String,
    /// The dataset; it must be there.
    pub dataset: String,
    /// Where the dataset is: `EU`, `US`, `europe-west3`.
    #[serde(default = "default_location")]
    pub location: String,
    /// A service account's key as JSON; application default credentials if left out.
    pub credentials: Option<SecretSource>,
    /// The API's host, where it is not Google's.
    pub endpoint: Option<String>,
    /// How a day replaces what was there.
    #[serde(default)]
    pub mode: Mode,
    /// Whether rejects are loaded too, into a table of their own.
    #[serde(default)]
    pub load_quarantine: bool,
}

fn default_location() -> String {
    "US".to_owned()
}

/// How a day replaces what was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The day's partition as a whole.
    #[default]
    Replace,
    /// Row by row, by key, through a staging table.
    Merge,
}

/// A schema of Snowflake.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snowflake {
    /// The account's identifier: `acme-prod`.
    pub account: String,
    /// The user that loads.
    pub user: String,
    /// The user's private RSA key, in PEM and not encrypted; or a `token`.
    pub private_key: Option<SecretSource>,
    /// A programmatic access token of the user's.
    pub token: Option<SecretSource>,
    /// The database.
    pub database: String,
    /// The schema.
    pub schema: String,
    /// The virtual warehouse that loads.
    pub warehouse: String,
    /// The role; the user's default one if left out.
    pub role: Option<String>,
    /// The external stage, made by the administrator, that points at the lake.
    pub stage: String,
    /// The API's host, where it is not the account's.
    pub endpoint: Option<String>,
    /// Whether rejects are loaded too, into a table of their own.
    #[serde(default)]
    pub load_quarantine: bool,
}
