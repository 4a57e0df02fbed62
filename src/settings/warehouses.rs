//! What warehouses must satisfy, and the reports that are loaded into them.

use std::collections::BTreeMap;

use super::check::host_url;
use super::read::Surroundings;
use super::warehouse_file::{self, BigQuery, Mode, Snowflake};
use super::{NeededSecret, ReportSettings, WarehouseSettings, WindowLength};
use crate::vocabulary::{Failure, nearest_name};

/// A warehouse of one of the kinds, checked.
#[derive(Clone, Debug)]
pub enum WarehouseKind {
    /// A dataset of BigQuery.
    BigQuery {
        /// As it is written; its credentials are beside.
        file: BigQuery,
        /// A service account's key.
        credentials: Option<NeededSecret>,
    },
    /// A schema of Snowflake.
    Snowflake {
        /// As it is written; its credentials are beside.
        file: Snowflake,
        /// How the user is known.
        credentials: SnowflakeSecret,
    },
}

impl WarehouseKind {
    pub(super) fn secret(&mut self) -> Option<&mut NeededSecret> {
        match self {
            Self::BigQuery { credentials, .. } => credentials.as_mut(),
            Self::Snowflake { credentials: SnowflakeSecret::PrivateKey(secret), .. }
            | Self::Snowflake { credentials: SnowflakeSecret::AccessToken(secret), .. } => Some(secret),
        }
    }
}

/// How a Snowflake user is known.
#[derive(Clone, Debug)]
pub enum SnowflakeSecret {
    /// A private key.
    PrivateKey(NeededSecret),
    /// A programmatic access token.
    AccessToken(NeededSecret),
}

pub(super) fn warehouses(
    files: BTreeMap<String, warehouse_file::Warehouse>,
    surroundings: &Surroundings<'_>,
) -> Result<BTreeMap<String, WarehouseSettings>, Failure> {
    let mut warehouses = BTreeMap::new();
    for (name, file) in files {
        let place = format!("warehouses.{name}");
        let settings = match file {
            warehouse_file::Warehouse::BigQuery(file) => big_query(&place, name.clone(), file, surroundings)?,
            warehouse_file::Warehouse::Snowflake(file) => snowflake(&place, name.clone(), file, surroundings)?,
        };
        warehouses.insert(name, settings);
    }
    Ok(warehouses)
}

fn big_query(
    place: &str,
    name: String,
    mut file: BigQuery,
    surroundings: &Surroundings<'_>,
) -> Result<WarehouseSettings, Failure> {
    // A project of a domain is `example.com:project`.
    let is_project = |char: char| char.is_ascii_alphanumeric() || "-.:".contains(char);
    names(place, "project", &file.project, is_project)?;
    names(place, "dataset", &file.dataset, is_identifier)?;
    names(place, "location", &file.location, |char| char.is_ascii_alphanumeric() || char == '-')?;
    file.endpoint = endpoint(place, file.endpoint.as_deref())?;
    let credentials =
        file.credentials.as_ref().map(|source| surroundings.secret(&format!("{place}.credentials"), source));
    let (load_quarantine, credentials) = (file.load_quarantine, credentials.transpose()?);
    Ok(WarehouseSettings { name, load_quarantine, kind: WarehouseKind::BigQuery { file, credentials } })
}

fn snowflake(
    place: &str,
    name: String,
    mut file: Snowflake,
    surroundings: &Surroundings<'_>,
) -> Result<WarehouseSettings, Failure> {
    names(place, "account", &file.account, |char| char.is_ascii_alphanumeric() || "-_.".contains(char))?;
    for (key, value) in [("database", &file.database), ("schema", &file.schema), ("warehouse", &file.warehouse)] {
        names(place, key, value, is_identifier)?;
    }
    if let Some(role) = &file.role {
        names(place, "role", role, is_identifier)?;
    }
    names(place, "user", &file.user, |char| !char.is_control())?;
    names(place, "stage", &file.stage, |char| is_identifier(char) || char == '.')?;
    file.endpoint = endpoint(place, file.endpoint.as_deref())?;
    let secret = |key: &str, source| surroundings.secret(&format!("{place}.{key}"), source);
    let credentials = match (&file.private_key, &file.token) {
        (Some(source), None) => SnowflakeSecret::PrivateKey(secret("private_key", source)?),
        (None, Some(source)) => SnowflakeSecret::AccessToken(secret("token", source)?),
        _ => {
            return Err(Failure::configuration(format!("read {place}: it needs one way to sign in"))
                .hint("write private_key = { file = \"PATH\" }, or token = { env = \"NAME\" }"));
        }
    };
    let load_quarantine = file.load_quarantine;
    Ok(WarehouseSettings { name, load_quarantine, kind: WarehouseKind::Snowflake { file, credentials } })
}

fn is_identifier(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn names(place: &str, key: &str, value: &str, is_allowed: impl Fn(char) -> bool) -> Result<(), Failure> {
    if !value.is_empty() && value.chars().all(is_allowed) {
        return Ok(());
    }
    Err(Failure::configuration(format!("read {place}.{key}: {value:?} is no name of that kind"))
        .hint("write it as the warehouse itself shows it, without quotes"))
}

fn endpoint(place: &str, endpoint: Option<&str>) -> Result<Option<String>, Failure> {
    endpoint.map(|url| host_url(&format!("{place}.endpoint"), url, true)).transpose()
}

/// A report's table, where the report names none: its own name, as SQL can write it.
pub(super) fn table_name(report: &str, table: Option<String>) -> Result<String, Failure> {
    match table {
        Some(table) => {
            let place = format!("reports.{report}");
            names(&place, "table", &table, is_identifier)?;
            if table.to_lowercase().starts_with("_cxlake") {
                return Err(Failure::configuration(format!(
                    "read {place}.table: cxlake keeps names like that for itself"
                ))
                .hint("choose another name"));
            }
            Ok(table)
        }
        None => Ok(report.chars().map(|char| if is_identifier(char) { char } else { '_' }).collect()),
    }
}

/// Each report's warehouses are there, can read the lake, and get each table from one report only.
pub(super) fn check_loads(
    reports: &BTreeMap<String, ReportSettings>,
    warehouses: &BTreeMap<String, WarehouseSettings>,
    lake_url: &str,
) -> Result<(), Failure> {
    let mut tables: BTreeMap<(String, String), &str> = BTreeMap::new();
    for report in reports.values() {
        for name in &report.load {
            let Some(warehouse) = warehouses.get(name) else { return Err(unknown(report, name, warehouses)) };
            reads(warehouse, lake_url)?;
            merges_days(report, warehouse)?;
            let mut claim = |table: &str| match tables.insert((target(warehouse), table.to_lowercase()), &report.name) {
                Some(other) if other != report.name => Err(Failure::configuration(format!(
                    "read reports.{}: it and reports.{other} would be loaded into the table \"{table}\" of {name}",
                    report.name
                ))
                .hint(format!("name another table: table = \"{}_{table}\"", report.tenant.replace(['.', '-'], "_")))),
                _ => Ok(()),
            };
            claim(&report.table)?;
            if warehouse.load_quarantine {
                claim(&report.quarantine_table())?;
            }
        }
    }
    Ok(())
}

/// Keys are unique in a window: hours of a day can share them.
fn merges_days(report: &ReportSettings, warehouse: &WarehouseSettings) -> Result<(), Failure> {
    match &warehouse.kind {
        WarehouseKind::BigQuery { file, .. } if file.mode == Mode::Merge && report.window == WindowLength::Hour => {
            Err(Failure::configuration(format!(
                "read reports.{}: {} merges by key, and hours of a day can share keys",
                report.name, warehouse.name
            ))
            .hint("leave mode out of the warehouse, or load into one without"))
        }
        _ => Ok(()),
    }
}

/// What two names of one warehouse share.
fn target(warehouse: &WarehouseSettings) -> String {
    match &warehouse.kind {
        WarehouseKind::BigQuery { file, .. } => format!("bigquery {}.{}", file.project, file.dataset),
        WarehouseKind::Snowflake { file, .. } => {
            format!("snowflake {}.{}.{}", file.account, file.database, file.schema).to_lowercase()
        }
    }
}

fn unknown(report: &ReportSettings, name: &str, warehouses: &BTreeMap<String, WarehouseSettings>) -> Failure {
    let failure =
        Failure::configuration(format!("read reports.{}.load: there is no warehouse \"{name}\"", report.name));
    match nearest_name(name, warehouses.keys().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
        None => failure.hint(format!("add [warehouses.{name}]")),
    }
}

/// BigQuery's load jobs take URIs of GCS only; Snowflake's external stages point at S3, GCS and Azure.
fn reads(warehouse: &WarehouseSettings, lake_url: &str) -> Result<(), Failure> {
    let scheme = lake_url.split_once("://").map_or("file", |(scheme, _)| scheme);
    let (can_read, hint) = match &warehouse.kind {
        WarehouseKind::BigQuery { .. } => {
            (scheme == "gs", "BigQuery loads from Google Cloud Storage: put the lake on gs://, or copy it there")
        }
        WarehouseKind::Snowflake { .. } => (
            matches!(scheme, "s3" | "gs" | "abfss" | "az"),
            "Snowflake reads through an external stage: put the lake on s3://, gs://, abfss:// or az://",
        ),
    };
    if can_read {
        return Ok(());
    }
    Err(Failure::configuration(format!("read warehouses.{}: it cannot load from the lake {lake_url}", warehouse.name))
        .hint(hint))
}
