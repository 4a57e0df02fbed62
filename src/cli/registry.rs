//! `cxlake registry …`: the metric registry and its audit trail.

use std::path::Path;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Subcommand};

use super::arguments::{Global, SelectionArguments};
use super::commands::{environment, finish, read_configuration};
use super::{render, signals};
use crate::registry::{Metric, MetricStatus, RegistryVersion};
use crate::run::{self, LogEntry, ReviewedDifference};
use crate::vocabulary::{ColumnType, Failure, NoProgress};

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// List the versions
    List {
        #[command(flatten)]
        selection: SelectionArguments,
        #[command(flatten)]
        json: Json,
    },
    /// Show a version: its metrics, or the JSON Schema of a report's records
    Show(ShowCommand),
    /// Show what changed between two versions, metric by metric
    Diff {
        /// The older version
        older: u32,
        /// The newer version
        newer: u32,
        #[command(flatten)]
        selection: SelectionArguments,
    },
    /// Compare the tenant's catalog with the registry, and write a version where they differ
    Sync {
        #[command(flatten)]
        selection: SelectionArguments,
        /// Show what would be written, without writing
        #[arg(long, env = "CXLAKE_DRY_RUN", value_parser = BoolishValueParser::new())]
        dry_run: bool,
    },
    /// Show the audit trail: versions and drift in the order of time
    Log {
        #[command(flatten)]
        selection: SelectionArguments,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Args)]
pub(super) struct Json {
    /// Print JSON, a line each
    #[arg(long, env = "CXLAKE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ShowCommand {
    /// The version; the newest if left out
    version: Option<u32>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// Print the JSON Schema (draft-07) of a report's records
    #[arg(long, env = "CXLAKE_JSON_SCHEMA", value_parser = BoolishValueParser::new())]
    json_schema: bool,
    /// Print the version's file
    #[arg(long, env = "CXLAKE_JSON", value_parser = BoolishValueParser::new())]
    json: bool,
}

impl ShowCommand {
    /// What a flag asks for is printed, whatever the environment asks for beside.
    pub(super) fn flags_beat_variables(&mut self, given: &ArgMatches) {
        let is_flag = |name: &str| given.value_source(name) == Some(ValueSource::CommandLine);
        match (is_flag("json"), is_flag("json_schema")) {
            (true, false) => self.json_schema = false,
            (false, true) => self.json = false,
            _ => {}
        }
    }
}

pub(super) async fn registry(global: &Global, command: &RegistryCommand) -> u8 {
    let work = async {
        match command {
            RegistryCommand::List { selection, json } => list(&global.config, selection, json.json).await,
            RegistryCommand::Show(command) => show(&global.config, command).await,
            RegistryCommand::Diff { older, newer, selection } => {
                let settings = read_configuration(&global.config)?;
                let versions = (*older, *newer);
                run::compare_versions(&settings, &selection.request(), versions).await.map(|found| difference(&found))
            }
            RegistryCommand::Sync { selection, dry_run } => sync(&global.config, selection, *dry_run).await,
            RegistryCommand::Log { selection, json } => log(&global.config, selection, json.json).await,
        }
    };
    finish(signals::unless_interrupted(work).await.and_then(|done| done).map(|()| 0))
}

async fn list(config: &Path, selection: &SelectionArguments, json: bool) -> Result<(), Failure> {
    let versions = run::list_versions(&read_configuration(config)?, &selection.request()).await?;
    for version in versions {
        if json {
            render::json_line(&version);
            continue;
        }
        render::text(&format!(
            "{} v{:04}  {}  {} published, {} retired  {}\n",
            version.tenant, version.version, version.created_at, version.published, version.retired, version.reason
        ));
    }
    Ok(())
}

async fn show(config: &Path, command: &ShowCommand) -> Result<(), Failure> {
    let settings = read_configuration(config)?;
    let request = command.selection.request();
    let version = run::show_version(&settings, &request, command.version).await?;
    if command.json_schema && command.json {
        return Err(Failure::configuration("choose what to print: --json-schema and --json are both given")
            .hint("pass one of them; CXLAKE_JSON and CXLAKE_JSON_SCHEMA count too"));
    }
    if command.json_schema {
        let reports = request.reports(&settings)?;
        let [report] = reports.as_slice() else {
            let names: Vec<&str> = reports.iter().map(|report| report.name.as_str()).collect();
            return Err(Failure::configuration("choose a record schema: each report has one")
                .hint(format!("pass --report with one of: {}", names.join(", "))));
        };
        let columns = version.reports.get(&report.name).ok_or_else(|| {
            Failure::configuration(format!("find reports.{} in version {}", report.name, version.version))
                .hint("a version holds the reports that were configured when it was made")
        })?;
        render::text(&format!("{}\n", columns.record_schema.get()));
    } else if command.json {
        render::text(&format!("{}\n", serde_json::to_string_pretty(&version).unwrap_or_default()));
    } else {
        show_metrics(&version);
    }
    Ok(())
}

fn show_metrics(version: &RegistryVersion) {
    render::text(&format!("version {} of {}: {}\n", version.version, version.created_at, version.reason));
    for metric in &version.metrics {
        let Metric { id, display_name, column_type, .. } = metric;
        let mut notes = Vec::new();
        if metric.status == MetricStatus::Retired {
            notes.push("retired".to_owned());
        }
        if metric.required {
            notes.push("required".to_owned());
        }
        let rules = serde_json::to_string(&metric.constraints).unwrap_or_default();
        if rules != "{}" {
            notes.push(rules);
        }
        if !metric.earlier_names.is_empty() {
            notes.push(format!("earlier {}", metric.earlier_names.join(", ")));
        }
        let columns: Vec<&str> = metric.columns.iter().map(|column| column.name.as_str()).collect();
        let (columns, notes) = (columns.join(", "), notes.join("; "));
        render::text(&format!("  {id}  {display_name:?}  {column_type}  columns {columns}  {notes}\n"));
    }
}

async fn sync(config: &Path, selection: &SelectionArguments, dry_run: bool) -> Result<(), Failure> {
    let environment = environment(Arc::new(NoProgress));
    let settings = read_configuration(config)?;
    for synced in run::sync(&settings, &selection.request(), &environment, dry_run).await? {
        let (tenant, version) = (&synced.tenant, synced.registry.version);
        match (synced.is_new, dry_run) {
            (false, _) => render::text(&format!("{tenant}: version {version} is up to date\n")),
            (true, true) => {
                render::text(&format!("{tenant}: would write version {version}: {}\n", synced.registry.reason));
            }
            (true, false) => render::text(&format!("{tenant}: wrote version {version}: {}\n", synced.registry.reason)),
        }
        for event in &synced.drift {
            render::text(&format!("  {}: {}\n", event.kind.name(), event.detail));
        }
    }
    Ok(())
}

async fn log(config: &Path, selection: &SelectionArguments, json: bool) -> Result<(), Failure> {
    for entry in run::log(&read_configuration(config)?, &selection.request()).await? {
        match entry {
            entry if json => render::json_line(&entry),
            LogEntry::Version(version) => render::text(&format!(
                "{}  {}  version {}: {}\n",
                version.created_at, version.tenant, version.version, version.reason
            )),
            LogEntry::Event(recorded) => {
                let frozen = if recorded.frozen { " (frozen)" } else { "" };
                let event = recorded.event;
                render::text(&format!(
                    "{}  {}  {}{frozen}: {}\n",
                    recorded.at,
                    event.tenant,
                    event.kind.name(),
                    event.detail
                ));
            }
        }
    }
    Ok(())
}

fn difference(found: &ReviewedDifference) {
    if found.metrics.is_empty() && found.columns.is_empty() {
        render::text("no metric and no column differs\n");
    }
    for metric in &found.metrics {
        render::text(&format!("{} {:?}\n", metric.difference.id, metric.difference.display_name));
        for change in &metric.difference.changes {
            render::text(&format!("  {change}\n"));
        }
        for change in &metric.difference.rules {
            render::text(&format!("  {change}\n"));
        }
        for stored in &metric.stored {
            render::text(&format!("  stored values, {stored}\n"));
        }
    }
    for added in &found.columns {
        let name = &added.column.name;
        let (bigquery, snowflake) = warehouse_types(added.column.column_type);
        render::text(&format!("new column {name} in reports.{}\n", added.report));
        render::text(&format!(
            "  files of earlier versions lack it: read them by name (union_by_name), it is null there\n  \
             warehouse tables get it with the next load: BigQuery {bigquery}, Snowflake {snowflake}\n"
        ));
    }
}

/// The types that a column has in warehouses' tables.
fn warehouse_types(column_type: ColumnType) -> (String, String) {
    let same = |name: &str| (name.to_owned(), name.to_owned());
    match column_type {
        ColumnType::String => ("STRING".to_owned(), "VARCHAR".to_owned()),
        ColumnType::Number => ("FLOAT64".to_owned(), "FLOAT".to_owned()),
        // NUMERIC keeps 29 digits before the point and 9 after it.
        ColumnType::Decimal { precision, scale } if scale <= 9 && precision - scale <= 29 => {
            (format!("NUMERIC({precision},{scale})"), format!("NUMBER({precision},{scale})"))
        }
        ColumnType::Decimal { precision, scale } => {
            (format!("BIGNUMERIC({precision},{scale})"), format!("NUMBER({precision},{scale})"))
        }
        ColumnType::Integer => ("INT64".to_owned(), "NUMBER(19,0)".to_owned()),
        ColumnType::Boolean => ("BOOL".to_owned(), "BOOLEAN".to_owned()),
        ColumnType::Timestamp => ("TIMESTAMP".to_owned(), "TIMESTAMP_TZ(6)".to_owned()),
        ColumnType::Date => same("DATE"),
    }
}
