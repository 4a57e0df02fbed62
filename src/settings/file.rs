//! The configuration file as it is written. Unknown keys are refused; what values mean is checked
//! in [`super`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::warehouse_file::Warehouse;
use crate::vocabulary::{ColumnType, Constraints, ExactNumber};

/// `cxlake.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "cxlake configuration")]
pub struct File {
    /// The tenants that reports are read from, by name.
    #[serde(default)]
    pub tenants: BTreeMap<String, Tenant>,
    /// The reports, by name.
    #[serde(default)]
    pub reports: BTreeMap<String, Report>,
    /// Where the Parquet goes.
    pub lake: Lake,
    /// Where committed days are loaded to, by name.
    #[serde(default)]
    pub warehouses: BTreeMap<String, Warehouse>,
    /// Who is told of drift.
    #[serde(default)]
    pub alerts: Alerts,
    /// How rejects are shown.
    #[serde(default)]
    pub quarantine: Quarantine,
}

/// Who is told of drift. An alert that fails never fails the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Alerts {
    /// A program and its arguments; it gets each event as a line of JSON on its stdin.
    pub command: Vec<String>,
    /// A URL to which each event is posted as JSON; `https://`, or `http://` to loopback.
    pub webhook: Option<Webhook>,
}

/// A URL; as a secret, for most chat services let everybody in who knows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a URL, or { env = \"NAME\" } or { file = \"PATH\" }")]
pub enum Webhook {
    /// In the file.
    #[serde(serialize_with = "super::show::hidden")]
    Url(String),
    /// `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret(SecretSource),
}

/// How rejects are shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quarantine {
    /// JSON Pointers of fields whose values are never shown; what is kept stays exact.
    pub mask: Vec<String>,
}

/// A text that must not stand in the file: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// The environment variable that holds it.
    pub env: Option<String>,
    /// The file that holds it; whitespace at its end is not part of it.
    pub file: Option<String>,
}

/// One CXone tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The host that gives tokens, `https://…`; `http://` for loopback only.
    pub auth_url: String,
    /// The client's id.
    pub client_id: SecretSource,
    /// The client's secret.
    pub client_secret: SecretSource,
    /// The tenant's zone as you expect it: a run stops where the tenant reports another.
    pub time_zone: Option<String>,
    /// Where the keys are that sign tokens; turns on signature checks.
    pub jwks_url: Option<String>,
    /// The allow-list: region claim of the token -> data plane.
    pub regions: BTreeMap<String, String>,
    /// Whether its hosts may have private addresses; loopback needs no leave.
    #[serde(default)]
    pub allow_private_addresses: bool,
    /// How fast and how patiently the tenant is read.
    #[serde(default)]
    pub limits: Limits,
    /// Where the registry is, if not in the lake: a folder of its own.
    pub registry_url: Option<String>,
    /// What the catalog does not say of custom metrics, by id.
    #[serde(default)]
    pub custom_metrics: BTreeMap<String, CustomMetric>,
}

/// Pace and patience.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most requests per second, over all tasks.
    pub requests_per_second: f64,
    /// Requests that may go out at once after a pause.
    pub burst: u32,
    /// Below this share of the tenant's own limit left, the pace falls.
    pub slow_below_percent: f64,
    /// Pages asked for at the same time.
    pub pages_in_flight: usize,
    /// Tries of one call.
    pub retry_attempts: u32,
    /// Time for all tries of one call.
    pub retry_elapsed_secs: u64,
    /// Time for one try.
    pub request_timeout_secs: u64,
    /// Hours of the tenant's zone outside of which large runs wait, `08:00-18:00`.
    pub quiet_hours: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 5.0,
            burst: 5,
            slow_below_percent: 20.0,
            pages_in_flight: 4,
            retry_attempts: 8,
            retry_elapsed_secs: 900,
            request_timeout_secs: 300,
            quiet_hours: Vec::new(),
        }
    }
}

/// What the catalog does not say of a custom metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomMetric {
    /// Whether every record must have it.
    pub required: Option<bool>,
    /// The column's type in the place of the catalog's.
    #[serde(rename = "type")]
    pub column_type: Option<ColumnType>,
    /// The most digits after the decimal point, in the place of the catalog's.
    pub precision: Option<u64>,
    /// Further keywords of JSON Schema (draft-07) for its values: `{ multipleOf = 0.5 }`.
    pub schema: Option<serde_json::Map<String, serde_json::Value>>,
}

/// Custom metrics by name or id, or `"*"` for all that are published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a list of names or ids of metrics, or \"*\"")]
pub enum CustomMetricSelection {
    /// `"*"`.
    Wildcard(String),
    /// Names or ids.
    Listed(Vec<String>),
}

impl Default for CustomMetricSelection {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

/// One report of a tenant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The tenant's name in this file.
    pub tenant: String,
    /// The report's name at the tenant, `Interaction/Call`.
    pub report: String,
    /// Standard metrics.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Custom metrics.
    #[serde(default)]
    pub custom_metrics: CustomMetricSelection,
    /// Keys by which the tenant groups: with `interactionId` among them, a record an interaction.
    pub group_by: Vec<String>,
    /// The keys of `group_by` that name a record.
    pub key: Vec<String>,
    /// The timestamp that must lie in the record's window.
    pub time_column: Option<String>,
    /// Records asked for in one page.
    #[serde(default = "default_page_records")]
    pub page_records: u64,
    /// Whether pages overlap by a record, to prove that nothing moved between them.
    #[serde(default)]
    pub paging_check: bool,
    /// The longest record, in MiB.
    #[serde(default = "default_max_record_mib")]
    pub max_record_mib: u64,
    /// The unit that is extracted and committed at once.
    #[serde(default)]
    pub window: WindowLength,
    /// The most records of a window.
    #[serde(default = "default_max_window_records")]
    pub max_window_records: u64,
    /// Days before the asked ones that are read again.
    #[serde(default)]
    pub lookback_days: u32,
    /// How long after its end a window is left alone, for late records.
    #[serde(default = "default_settle_delay_mins")]
    pub settle_delay_mins: u64,
    /// What the tenant filters by.
    #[serde(default)]
    pub filter: Filter,
    /// What `group_by` and `metrics` hold.
    #[serde(default)]
    pub columns: BTreeMap<String, Column>,
    /// What to do about drift and rejects.
    #[serde(default)]
    pub policy: Policy,
    /// What a window's totals must be before it is published.
    pub baseline: Option<Baseline>,
    /// The warehouses that committed days are loaded into, by their names in this file.
    #[serde(default)]
    pub load: Vec<String>,
    /// The table there; the report's name if left out.
    pub table: Option<String>,
}

/// Totals that a window's must equal before it is published: of a `file`, or by `aggregate`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// A CSV or JSON file, as the tenant's own report is exported: a row a window, or several that
    /// are added up.
    pub file: Option<String>,
    /// Whether the tenant is asked a second time, without the key in `groupBy`.
    #[serde(default)]
    pub aggregate: bool,
    /// By how many percent of the baseline a total may differ.
    #[serde(default)]
    pub tolerance_percent: f64,
    /// The file's column of days (`2024-01-01`, in the tenant's zone) or of windows' first instants.
    #[serde(default = "default_date_column")]
    pub date_column: String,
    /// The file's column of how many records there are.
    #[serde(default = "default_records_column")]
    pub records_column: String,
    /// The file's other columns by their names there: the metrics that they are the sums of, by key,
    /// id or display name. Columns that are named like a metric need no word; others are not looked at.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
}

impl Baseline {
    /// The column of counts, where the settings name none.
    pub const RECORDS_COLUMN: &str = "records";
}

fn default_date_column() -> String {
    "date".to_owned()
}

fn default_records_column() -> String {
    Baseline::RECORDS_COLUMN.to_owned()
}

fn default_page_records() -> u64 {
    10_000
}

fn default_max_record_mib() -> u64 {
    8
}

fn default_max_window_records() -> u64 {
    5_000_000
}

fn default_settle_delay_mins() -> u64 {
    30
}

/// How long a window is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowLength {
    /// A day of the tenant's zone.
    #[default]
    Day,
    /// A local hour of the tenant's zone.
    Hour,
}

/// What the tenant filters by.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// One group.
    pub group: Option<Group>,
}

/// A group of the tenant, `queue` for example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The kind of group.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id at the tenant.
    pub id: String,
}

/// What a key of `group_by` or `metrics` holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The column's type.
    #[serde(rename = "type")]
    pub column_type: Option<ColumnType>,
    /// Whether every record must have it.
    #[serde(default)]
    pub required: bool,
    /// The least value, itself allowed.
    pub minimum: Option<TomlNumber>,
    /// The greatest value, itself allowed.
    pub maximum: Option<TomlNumber>,
    /// The only values allowed.
    pub allowed_values: Option<Vec<serde_json::Value>>,
    /// A regular expression that the text must match somewhere.
    pub pattern: Option<String>,
    /// The most code points of a text.
    pub max_length: Option<u64>,
    /// The most digits after the decimal point.
    pub precision: Option<u64>,
    /// Further keywords of JSON Schema (draft-07) for its values: `{ minLength = 3 }`.
    pub schema: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Column {
    /// The rules beside the type.
    pub fn constraints(&self) -> Constraints {
        Constraints {
            minimum: self.minimum.clone().map(|number| number.0),
            maximum: self.maximum.clone().map(|number| number.0),
            allowed_values: self.allowed_values.clone().map(|values| values.into_iter().map(Into::into).collect()),
            pattern: self.pattern.clone(),
            max_length: self.max_length,
            precision: self.precision,
            schema: self.schema.clone(),
        }
    }
}

/// A number of the file, by the value of its shortest form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TomlNumber(pub ExactNumber);

impl<'de> Deserialize<'de> for TomlNumber {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Integer(i64),
            Float(f64),
        }
        let text = match Written::deserialize(deserializer)? {
            Written::Integer(integer) => integer.to_string(),
            Written::Float(float) => float.to_string(),
        };
        let number = ExactNumber::parse(&text);
        number.map(Self).ok_or_else(|| serde::de::Error::custom("expected a finite number"))
    }
}

/// What to do about drift and rejects.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// A published metric that the registry does not know.
    pub new_metric: DriftPolicy,
    /// Another name, type or constraint.
    pub changed_metric: DriftPolicy,
    /// A metric that is retired or gone.
    pub retired_metric: DriftPolicy,
    /// A key in the data that nobody asked for.
    pub unknown_key: UnknownKeyPolicy,
    /// The most rejects of a window, in percent of its records.
    pub max_quarantined_percent: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            new_metric: DriftPolicy::Evolve,
            changed_metric: DriftPolicy::Evolve,
            retired_metric: DriftPolicy::Evolve,
            unknown_key: UnknownKeyPolicy::Keep,
            max_quarantined_percent: 5.0,
        }
    }
}

/// Whether drift makes a new registry version or stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// A new version, and on.
    Evolve,
    /// Exit 4, nothing committed.
    Freeze,
}

/// What happens to a key that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownKeyPolicy {
    /// Kept in `_unmapped`.
    Keep,
    /// The record is rejected.
    Quarantine,
}

/// Where the Parquet goes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lake {
    /// `file://…` or a path, `s3://…`, `gs://…`, `abfss://…` or `az://…`.
    pub url: String,
    /// How Parquet is written.
    #[serde(default)]
    pub parquet: Parquet,
    /// Passed to `object_store` by its own key names.
    #[serde(default)]
    pub options: BTreeMap<String, LakeOption>,
}

/// A value for `object_store`: text, number, boolean, or a secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text, true, false, a whole number, { env = \"NAME\" } or { file = \"PATH\" }"
)]
pub enum LakeOption {
    /// As it is written.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// From outside of the file.
    Secret(SecretSource),
}

/// How Parquet is written.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Parquet {
    /// `zstd(LEVEL)`, `snappy` or `uncompressed`. Where a lower level makes a column hardly longer, that is used.
    pub compression: String,
    /// The most rows of a row group.
    pub row_group_rows: usize,
    /// Keys (of `group_by`) whose columns get a bloom filter; those of `key` if left out.
    pub bloom_columns: Option<Vec<String>>,
}

impl Default for Parquet {
    fn default() -> Self {
        Self { compression: "zstd(3)".to_owned(), row_group_rows: 524_288, bloom_columns: None }
    }
}
