//! `sql`: views of the reports for an engine, from the newest registry version.

use cxlake_sinks::lake::{Lake, report_folder, tenant_folder};
use url::Url;

use super::RunRequest;
use super::metric_catalog::METRIC_CATALOG;
use super::preflight::Preflight;
use super::request::by_tenant;
use crate::registry::RegistryVersion;
use crate::settings::{ReportSettings, Settings, WarehouseKind};
use crate::sql::{self, View, view_columns};
use crate::vocabulary::Failure;

/// An engine whose SQL is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// DuckDB, over the lake's files.
    DuckDb,
    /// BigQuery, beside the loaded tables.
    BigQuery,
    /// Snowflake, beside the loaded tables.
    Snowflake,
    /// Athena, over the lake's files on S3.
    Athena,
}

impl Engine {
    fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::BigQuery => "BigQuery",
            Self::Snowflake => "Snowflake",
            Self::Athena => "Athena",
        }
    }
}

/// The views of the reports that `request` names, as one SQL text. The tenants are not called.
///
/// # Errors
/// Where nothing of a report was committed yet, and for a lake or a warehouse that the engine has no
/// way to.
pub async fn views(settings: &Settings, request: &RunRequest, engine: Engine) -> Result<String, Failure> {
    let reports = request.reports(settings)?;
    let preflight = Preflight::open_to_read(settings)?;
    let mut views = Vec::new();
    for (tenant, reports) in by_tenant(&reports) {
        let registry = preflight.registry(settings, tenant)?.newest().await?.ok_or_else(|| {
            Failure::configuration(format!("find the columns of the reports of {tenant}: its registry is empty"))
                .hint("run a window first, or make the first version with `cxlake registry sync`")
        })?;
        for report in reports {
            let view = view(report, &registry)?;
            views.extend(match engine {
                Engine::DuckDb => vec![sql::duckdb(&view, &duckdb_url(&preflight.lake, &report_key(report)))],
                Engine::Athena => vec![sql::athena(&view, &s3_url(&preflight.lake, &report_key(report))?)],
                Engine::BigQuery | Engine::Snowflake => beside_tables(settings, report, &view, engine),
            });
        }
        if engine == Engine::DuckDb {
            let files = format!("{}/{METRIC_CATALOG}/*.parquet", tenant_folder(tenant));
            views.push(sql::duckdb_catalog(tenant, &duckdb_url(&preflight.lake, &files)));
        }
    }
    if views.is_empty() {
        let name = engine.name();
        return Err(Failure::configuration(format!(
            "find a table in {name}: no report of that choice is loaded there"
        ))
        .hint("name a warehouse of that kind in the report: load = [\"NAME\"]; `cxlake init` writes an example"));
    }
    Ok(format!("{}{}", preamble(&preflight.lake, engine), views.join("\n")))
}

fn report_key(report: &ReportSettings) -> String {
    report_folder(&report.tenant, &report.name)
}

fn view(report: &ReportSettings, registry: &RegistryVersion) -> Result<View, Failure> {
    let columns = registry.reports.get(&report.name).ok_or_else(|| {
        Failure::configuration(format!("find reports.{} in registry version {}", report.name, registry.version))
            .hint("run a window of it first, or make a version that has it with `cxlake registry sync`")
    })?;
    Ok(View {
        report: report.name.clone(),
        table: report.table.clone(),
        comment: format!("{} of {}", report.report, report.tenant),
        registry_version: registry.version,
        columns: view_columns(&columns.columns, &registry.metrics),
    })
}

fn beside_tables(settings: &Settings, report: &ReportSettings, view: &View, engine: Engine) -> Vec<String> {
    let loaded = report.load.iter().filter_map(|name| settings.warehouses.get(name));
    let views = loaded.filter_map(|warehouse| match (&warehouse.kind, engine) {
        (WarehouseKind::BigQuery { file, .. }, Engine::BigQuery) => {
            Some(sql::bigquery(view, &format!("{}.{}", file.project, file.dataset)))
        }
        (WarehouseKind::Snowflake { file, .. }, Engine::Snowflake) => {
            Some(sql::snowflake(view, [&file.database, &file.schema]))
        }
        _ => None,
    });
    views.collect()
}

/// A key of the lake as DuckDB names it: a local one from the root, for a view outlives the folder
/// that it was made in; Azure's with the account's host first
/// (<https://duckdb.org/docs/stable/core_extensions/azure>).
fn duckdb_url(lake: &Lake, key: &str) -> String {
    let uri = lake.uri(key);
    match Url::parse(&uri) {
        Ok(url) if url.scheme() == "file" => url.to_file_path().map_or(uri, |path| path.display().to_string()),
        Ok(url) if url.scheme() == "abfss" && !url.username().is_empty() => {
            format!("abfss://{}/{}{}", url.host_str().unwrap_or_default(), url.username(), url.path())
        }
        Ok(url) if url.scheme().len() > 1 => uri,
        _ => std::path::absolute(&uri).map_or(uri, |path| path.display().to_string()),
    }
}

fn s3_url(lake: &Lake, key: &str) -> Result<String, Failure> {
    let uri = lake.uri(key);
    if uri.starts_with("s3://") {
        return Ok(uri);
    }
    Err(Failure::configuration(format!("make views for Athena over {uri}: it reads S3 only"))
        .hint("`cxlake sql duckdb` makes views over any lake"))
}

/// What an engine needs before it can read the lake.
fn preamble(lake: &Lake, engine: Engine) -> &'static str {
    match (engine, lake.url().split_once("://").map(|(scheme, _)| scheme)) {
        (Engine::DuckDb, Some("s3")) => {
            "-- Once: INSTALL httpfs; LOAD httpfs; CREATE SECRET (TYPE s3, PROVIDER credential_chain);\n"
        }
        (Engine::DuckDb, Some("gs")) => {
            "-- Once: INSTALL httpfs; LOAD httpfs; CREATE SECRET (TYPE gcs, KEY_ID '…', SECRET '…');\n"
        }
        (Engine::DuckDb, Some("az" | "abfss")) => {
            "-- Once: INSTALL azure; LOAD azure; CREATE SECRET (TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '…');\n"
        }
        _ => "",
    }
}
