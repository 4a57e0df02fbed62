//! `sql`: views of the reports for an engine, from the newest registry version.

use std::collections::BTreeMap;

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
/// Where nothing of any report was committed yet, where two views would have one name, and for a lake
/// or a warehouse that the engine has no way to.
pub async fn views(settings: &Settings, request: &RunRequest, engine: Engine) -> Result<String, Failure> {
    let reports = request.reports(settings)?;
    let preflight = Preflight::open_to_read(settings)?;
    let mut made = Made::default();
    for (tenant, reports) in by_tenant(&reports) {
        let registry = preflight.registry(settings, tenant)?.newest().await?.ok_or_else(|| {
            Failure::configuration(format!("find the columns of the reports of {tenant}: its registry is empty"))
                .hint("run a window first, or make the first version with `cxlake registry sync`")
        })?;
        for report in reports {
            made.report(settings, &preflight.lake, engine, report, &view(report, &registry)?).await?;
        }
        if engine == Engine::DuckDb {
            made.catalog(&preflight.lake, tenant).await?;
        }
    }
    if made.names.is_empty() {
        return Err(made.nothing(engine));
    }
    Ok(format!("{}{}", preamble(settings, &preflight.lake, engine), made.texts.join("\n")))
}

/// What has been made so far.
#[derive(Default)]
struct Made {
    texts: Vec<String>,
    /// Tables and views by their names in lower case, which engines do not tell apart from others, and
    /// what each is of.
    names: BTreeMap<String, String>,
    /// What has no view, for nothing was committed.
    empty: Vec<String>,
}

impl Made {
    async fn report(
        &mut self,
        settings: &Settings,
        lake: &Lake,
        engine: Engine,
        report: &ReportSettings,
        view: &View,
    ) -> Result<(), Failure> {
        let of = format!("reports.{}", report.name);
        match engine {
            Engine::DuckDb => {
                // DuckDB opens the files of a view when it is made.
                let data = format!("{}/data", report_key(report));
                if self.is_committed(lake, &data, &of).await? {
                    let rejects = format!("{}_quarantine", view.report);
                    self.take(&of, &[&view.report, &rejects])?;
                    self.texts.push(sql::duckdb(view, &duckdb_url(lake, &report_key(report))));
                }
            }
            Engine::Athena => {
                self.take(&of, &[&view.table, &view.beside_table()])?;
                self.texts.push(sql::athena(view, &s3_url(lake, &report_key(report))?));
            }
            Engine::BigQuery | Engine::Snowflake => {
                for (warehouse, text) in beside_tables(settings, report, view, engine) {
                    let in_warehouse = |name: &str| format!("{warehouse}.{name}");
                    self.take(&of, &[&in_warehouse(&view.table), &in_warehouse(&view.beside_table())])?;
                    self.texts.push(text);
                }
            }
        }
        Ok(())
    }

    async fn catalog(&mut self, lake: &Lake, tenant: &str) -> Result<(), Failure> {
        let folder = format!("{}/{METRIC_CATALOG}", tenant_folder(tenant));
        let of = format!("the metric catalog of {tenant}");
        if self.is_committed(lake, &folder, &of).await? {
            self.take(&of, &[&format!("{tenant}_metric_catalog")])?;
            self.texts.push(sql::duckdb_catalog(tenant, &duckdb_url(lake, &format!("{folder}/*.parquet"))));
        }
        Ok(())
    }

    async fn is_committed(&mut self, lake: &Lake, folder: &str, of: &str) -> Result<bool, Failure> {
        let is_committed = !lake.list(folder).await?.is_empty();
        if !is_committed {
            self.texts.push(format!("-- No view of {of}: nothing of it is in the lake yet.\n"));
            self.empty.push(of.to_owned());
        }
        Ok(is_committed)
    }

    fn take(&mut self, of: &str, names: &[&str]) -> Result<(), Failure> {
        for name in names {
            if let Some(other) = self.names.insert(name.to_lowercase(), of.to_owned()) {
                return Err(Failure::configuration(format!("name the views: {other} and {of} both need \"{name}\""))
                    .hint("choose one of them with --report, or give one another name"));
            }
        }
        Ok(())
    }

    fn nothing(&self, engine: Engine) -> Failure {
        if self.empty.is_empty() {
            let engine = engine.name();
            return Failure::configuration(format!(
                "find a table in {engine}: no report of that choice is loaded there"
            ))
            .hint("name a warehouse of that kind in the report: load = [\"NAME\"]; `cxlake init` writes an example");
        }
        Failure::configuration(format!("make views: nothing of {} is in the lake yet", self.empty.join(", ")))
            .hint("run a window first")
    }
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

/// The views in each warehouse of that engine's, by the warehouse's name.
fn beside_tables<'a>(
    settings: &Settings,
    report: &'a ReportSettings,
    view: &View,
    engine: Engine,
) -> Vec<(&'a str, String)> {
    let loaded = report.load.iter().filter_map(|name| Some((name.as_str(), settings.warehouses.get(name)?)));
    let views = loaded.filter_map(|(name, warehouse)| match (&warehouse.kind, engine) {
        (WarehouseKind::BigQuery { file, .. }, Engine::BigQuery) => {
            Some((name, sql::bigquery(view, &format!("{}.{}", file.project, file.dataset))))
        }
        (WarehouseKind::Snowflake { file, .. }, Engine::Snowflake) => {
            Some((name, sql::snowflake(view, [&file.database, &file.schema])))
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

/// What an engine needs before it can read the lake, as remarks: how somebody signs in is theirs to say.
fn preamble(settings: &Settings, lake: &Lake, engine: Engine) -> String {
    let secret = |text: &str| {
        let scope = sql::text(lake.url());
        format!(
            "-- DuckDB reads the files when it makes a view. First: CREATE SECRET cxlake ({text}, SCOPE {scope});\n"
        )
    };
    match (engine, lake.url().split_once("://").map(|(scheme, _)| scheme)) {
        (Engine::DuckDb, Some("s3")) => secret(&format!("TYPE s3, PROVIDER credential_chain{}", s3_place(settings))),
        (Engine::DuckDb, Some("gs")) => secret("TYPE gcs, KEY_ID '…', SECRET '…'"),
        (Engine::DuckDb, Some("az" | "abfss")) => secret("TYPE azure, PROVIDER credential_chain, ACCOUNT_NAME '…'"),
        (Engine::Athena, _) => "-- Athena takes one statement at a time.\n".to_owned(),
        _ => String::new(),
    }
}

/// The region and the endpoint of the lake's own options, as DuckDB writes them.
fn s3_place(settings: &Settings) -> String {
    let option = |names: [&str; 2]| {
        let is_named = |key: &str| names.iter().any(|name| key == *name || key.strip_prefix("aws_") == Some(*name));
        let found = settings.lake.options.iter().find(|(key, _)| is_named(&key.to_lowercase()));
        found.map(|(_, value)| value.reveal().to_owned())
    };
    let mut place = String::new();
    if let Some(region) = option(["region", "default_region"]) {
        place.push_str(&format!(", REGION {}", sql::text(&region)));
    }
    if let Some(endpoint) = option(["endpoint", "endpoint_url"]) {
        let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", &endpoint));
        let (host, by_tls) = (sql::text(host.trim_end_matches('/')), scheme == "https");
        place.push_str(&format!(", ENDPOINT {host}, URL_STYLE 'path', USE_SSL {by_tls}"));
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Surroundings, read_settings};

    #[test]
    fn duckdb_is_told_where_the_store_is() {
        let check = |options: &str, expected: &str| {
            let text = format!(
                "[tenants.acme]\nauth_url = \"https://acme.example\"\nclient_id = {{ env = \"A\" }}\nclient_secret = \
                 {{ env = \"A\" }}\n[tenants.acme.regions]\nna1 = \"https://na1.example\"\n[lake]\nurl = \
                 \"s3://lake\"\n[lake.options]\n{options}"
            );
            let surroundings = Surroundings {
                variable: &|_| Some("a".to_owned()),
                text_file: &|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
            };
            assert_eq!(s3_place(&read_settings("cxlake.toml", &text, &surroundings).unwrap()), expected, "{options}");
        };
        check("", "");
        check("region = \"eu-1\"\naws_metadata_endpoint = \"http://169.254.169.254\"", ", REGION 'eu-1'");
        check("aws_endpoint_url = \"http://minio:9000/\"", ", ENDPOINT 'minio:9000', URL_STYLE 'path', USE_SSL false");
    }
}
