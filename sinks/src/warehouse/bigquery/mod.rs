//! BigQuery: one load job a day into the day's partition, explicit columns from the registry and
//! explicit URIs from the manifests ("Load Parquet data", "BatchLoad into partitions").

mod api;
mod credentials;
mod jobs;
mod statements;
mod tables;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use async_trait::async_trait;
use chrono::NaiveDate;
use futures::future::BoxFuture;
use gcp_bigquery_client::model::job_configuration::JobConfiguration;
use gcp_bigquery_client::model::job_configuration_load::JobConfigurationLoad;
use gcp_bigquery_client::model::job_configuration_query::JobConfigurationQuery;
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_reference::TableReference;
use gcp_bigquery_client::model::table_schema::TableSchema;

use self::api::Api;
use self::jobs::EndedJob;
use super::parity::{Decimal, FLOAT_TOLERANCE};
use super::{
    BigQueryLocation, LOADS_TABLE, LoadMode, LoadTable, Loaded, LoadedDay, Loader, TableLoad, Warehouse,
    WarehouseProbe, count_days, noted_days, probe_table,
};
use crate::failure::{SinkFailure, SinkFailureKind};

/// How long a staging table that nobody removed stays.
const STAGING_LIFE: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

/// A dataset.
pub(super) struct BigQuery {
    api: Api,
    mode: LoadMode,
    labels: HashMap<String, String>,
    loader: Loader,
}

impl BigQuery {
    pub(super) async fn open(location: &BigQueryLocation, loader: &Loader) -> Result<Self, SinkFailure> {
        let api = Api {
            client: credentials::sign_in(location).await?,
            project: location.project.clone(),
            dataset: location.dataset.clone(),
            location: location.location.clone(),
        };
        Ok(Self { api, mode: location.mode, labels: jobs::labels(&loader.run_id), loader: loader.clone() })
    }

    fn target(&self) -> String {
        format!("bigquery/{}/{}", self.api.project, self.api.dataset)
    }

    fn reference(&self, table: &str) -> TableReference {
        TableReference::new(&self.api.project, &self.api.dataset, table)
    }

    /// The job that writes a day's files over a table, or over one partition of it.
    fn load_job(&self, load: &TableLoad, table: &str) -> JobConfigurationLoad {
        let into_partition = table.contains('$');
        let add = || vec!["ALLOW_FIELD_ADDITION".to_owned()];
        JobConfigurationLoad {
            source_uris: Some(load.files.iter().map(|file| file.uri.clone()).collect()),
            source_format: Some("PARQUET".to_owned()),
            schema: Some(TableSchema::new(tables::schema(&load.table.schema))),
            decimal_target_types: Some(vec!["NUMERIC".to_owned(), "BIGNUMERIC".to_owned()]),
            destination_table: Some(self.reference(table)),
            create_disposition: Some("CREATE_NEVER".to_owned()),
            write_disposition: Some("WRITE_TRUNCATE".to_owned()),
            // "…with WRITE_TRUNCATE on a partition" only (jobs resource, schemaUpdateOptions).
            schema_update_options: (into_partition && load.table.adds_columns).then(add),
            ..JobConfigurationLoad::default()
        }
    }

    /// Without a key there is nothing to merge by.
    fn mode_of(&self, load: &TableLoad) -> LoadMode {
        if load.table.key.is_empty() { LoadMode::Replace } else { self.mode }
    }

    /// One job, over the partition or by MERGE.
    async fn write(&self, load: &TableLoad) -> Result<EndedJob, SinkFailure> {
        let staged = Mutex::new(Vec::new());
        let configuration = || -> BoxFuture<'_, Result<JobConfiguration, SinkFailure>> {
            match self.mode_of(load) {
                LoadMode::Replace => {
                    let partition = format!("{}${}", load.table.name, load.date.format("%Y%m%d"));
                    let job = self.load_job(load, &partition);
                    Box::pin(async { Ok(JobConfiguration { load: Some(job), ..JobConfiguration::default() }) })
                }
                LoadMode::Merge => Box::pin(self.staged_merge(load, &staged)),
            }
        };
        let ended = self.run_once(&self.job_name(load), load.again, &configuration).await;
        let api = &self.api;
        for staging in staged.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // It expires by itself where it cannot be removed now.
            if let Err(error) = api.call(|| api.client.table().delete(&api.project, &api.dataset, &staging)).await {
                tracing::warn!(table = staging, error = error.message, "the staging table was not removed");
            }
        }
        ended
    }

    /// Loads into a staging table of its own, whose name is added to `staged`; the job that merges from
    /// there.
    async fn staged_merge(
        &self,
        load: &TableLoad,
        staged: &Mutex<Vec<String>>,
    ) -> Result<JobConfiguration, SinkFailure> {
        let staging = format!("{}__staging_{}", load.table.name, uuid::Uuid::now_v7().simple());
        staged.lock().unwrap_or_else(PoisonError::into_inner).push(staging.clone());
        let made = tables::table_of(self, &LoadTable { name: staging.clone(), ..load.table.clone() });
        let expires = std::time::SystemTime::from((self.loader.now)()) + STAGING_LIFE;
        self.create(Table { time_partitioning: None, ..made }.expiration_time(expires)).await?;
        let job = JobConfiguration { load: Some(self.load_job(load, &staging)), ..JobConfiguration::default() };
        self.run_alone(&format!("cxlake_{staging}"), job).await?;
        self.add_missing_columns(load).await?;
        let query = statements::merge(&self.api.sql_name(&load.table.name), &self.api.sql_name(&staging), load);
        let query = JobConfigurationQuery { query, use_legacy_sql: Some(false), ..JobConfigurationQuery::default() };
        Ok(JobConfiguration { query: Some(query), ..JobConfiguration::default() })
    }

    /// MERGE adds no columns by itself.
    async fn add_missing_columns(&self, load: &TableLoad) -> Result<(), SinkFailure> {
        let Some(found) = self.table(&load.table.name).await? else { return Ok(()) };
        let mut fields = found.schema.fields.unwrap_or_default();
        let before = fields.len();
        for field in tables::schema(&load.table.schema) {
            if !fields.iter().any(|other| other.name.eq_ignore_ascii_case(&field.name)) {
                fields.push(field);
            }
        }
        if fields.len() == before {
            return Ok(());
        }
        let api = &self.api;
        let wider = Table::new(&api.project, &api.dataset, &load.table.name, TableSchema::new(fields));
        let patched =
            api.call(|| api.client.table().patch(&api.project, &api.dataset, &load.table.name, wider.clone()));
        patched.await.map(|_| ()).map_err(|error| error.failure(&format!("add columns to {}", load.table.name)))
    }

    /// The table's own count and sums of the day against the manifests'.
    async fn prove(&self, load: &TableLoad) -> Result<u64, SinkFailure> {
        let sql = statements::totals(&self.api.sql_name(&load.table.name), load);
        let doing = format!("prove the load of {} {}", load.table.name, load.date);
        let rows = self.api.query(&sql).await.map_err(|error| error.failure(&doing))?;
        let cells = rows.into_iter().next().unwrap_or_default();
        let cell = |index: usize| cells.get(index).cloned().flatten();
        let count = |index: usize| cell(index).and_then(|text| text.parse::<u64>().ok());
        let differs = |what: &str, expected: &str, found: Option<String>| {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            SinkFailure::differs(
                format!("{doing}: {what}: the manifests say {expected}, the table has {found}"),
                "if another load was under way, `cxlake load` puts it right; else look at the job's log in BigQuery",
            )
        };
        let found = count(0);
        if found != Some(load.rows) {
            return Err(differs("rows", &load.rows.to_string(), cell(0)));
        }
        for (index, sum) in load.sums.iter().enumerate() {
            let first = 1 + 3 * index;
            if count(first) != Some(sum.values) {
                return Err(differs(&format!("values of {}", sum.column), &sum.values.to_string(), cell(first)));
            }
            let (total, magnitude) = (cell(first + 1), cell(first + 2));
            if sum.values > 0 && !is_same_sum(&sum.sum, total.as_deref(), magnitude.as_deref()) {
                return Err(differs(&format!("sum of {}", sum.column), &sum.sum, total));
            }
        }
        Ok(load.rows)
    }

    fn loads_table(&self) -> Table {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let number = |name: &str| Field::new(name, DataType::Int64, true);
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let fields = vec![
            text("table_name"),
            text("owner"),
            Field::new("report_date", DataType::Date32, true),
            number("sequence"),
            text("content_sha256"),
            text("load_id"),
            number("rows_loaded"),
            text("job"),
            text("run_id"),
            Field::new("loaded_at", instant, true),
        ];
        let table = LoadTable {
            name: LOADS_TABLE.to_owned(),
            owner: "what was loaded".to_owned(),
            schema: std::sync::Arc::new(Schema::new(fields)),
            date_column: "report_date".to_owned(),
            key: vec!["table_name".to_owned()],
            adds_columns: false,
        };
        // Partitions can expire, and with them what was noted.
        Table { time_partitioning: None, ..tables::table_of(self, &table) }
    }
}

/// Decimals are equal digit by digit, floats within the tolerance of their magnitudes' sum.
fn is_same_sum(expected: &str, found: Option<&str>, magnitude: Option<&str>) -> bool {
    let Some(found) = found else { return false };
    match magnitude {
        None => Decimal::parse(expected).is_some() && Decimal::parse(expected) == Decimal::parse(found),
        Some(magnitude) => {
            let float = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            (float(expected) - float(found)).abs() <= float(FLOAT_TOLERANCE) * float(magnitude)
        }
    }
}

#[async_trait]
impl Warehouse for BigQuery {
    async fn loaded_days(
        &self,
        table: &LoadTable,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<BTreeMap<NaiveDate, LoadedDay>, SinkFailure> {
        let doing = format!("look at what is loaded of {}", table.name);
        let rows = async |sql: String| match self.api.query(&sql).await {
            Ok(rows) => Ok(rows),
            Err(error) if error.is_no_table() => Ok(Vec::new()),
            Err(error) => Err(error.failure(&doing)),
        };
        let notes = rows(statements::loads_by_day(&self.api.sql_name(LOADS_TABLE), table, first, last)).await?;
        let mut days = noted_days(table, &notes)?;
        if !days.is_empty() {
            let counts = rows(statements::rows_by_day(&self.api.sql_name(&table.name), table, first, last)).await?;
            count_days(&mut days, &counts);
        }
        Ok(days)
    }

    /// A merge that was staged before a restatement can end after it, with as many rows.
    async fn holds(&self, load: &TableLoad) -> Result<bool, SinkFailure> {
        match self.mode_of(load) {
            LoadMode::Replace => Ok(true),
            LoadMode::Merge => {
                // What lacks the table, or a column of it, is made anew by a load.
                let Some(table) = self.table(&load.table.name).await? else { return Ok(false) };
                let fields = table.schema.fields.unwrap_or_default();
                let has = |column: &String| fields.iter().any(|field| field.name.eq_ignore_ascii_case(column));
                if !load.sums.iter().all(|sum| has(&sum.column)) {
                    return Ok(false);
                }
                match self.prove(load).await {
                    Ok(_) => Ok(true),
                    Err(failure) if failure.kind == SinkFailureKind::Mismatch => Ok(false),
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    async fn load(&self, load: &TableLoad) -> Result<Loaded, SinkFailure> {
        self.prepare_table(&load.table).await?;
        self.create(self.loads_table()).await?;
        let ended = self.write(load).await?;
        let rows = self.prove(load).await?;
        if let Some(written) = ended.output_rows
            && written != load.rows
        {
            tracing::warn!(job = ended.id, written, promised = load.rows, "the job wrote other rows than promised");
        }
        let loads = self.api.sql_name(LOADS_TABLE);
        let note = statements::note(&loads, load, &load.load_id(&self.target()), &ended.id, &self.loader.run_id);
        let noted = self.api.query(&note).await;
        noted.map_err(|error| error.failure(&format!("note the load of {} {}", load.table.name, load.date)))?;
        Ok(Loaded { rows, job: ended.id })
    }

    async fn probe(&self) -> Vec<WarehouseProbe> {
        let dataset = match self.table(LOADS_TABLE).await {
            Ok(Some(_)) => Ok(format!("{}.{} is there, with loads", self.api.project, self.api.dataset)),
            Ok(None) => Ok(format!("{}.{} is there, without loads", self.api.project, self.api.dataset)),
            Err(failure) => Err(failure),
        };
        let query = self.api.query("SELECT 1").await;
        let jobs = query.map(|_| "a query job ran".to_owned()).map_err(|error| error.failure("run a BigQuery job"));
        let today = (self.loader.now)().date_naive();
        // A query over a table runs where the dataset is, or not at all.
        let made = self.create(self.loads_table()).await;
        let looked_at = self.loaded_days(&probe_table(), today, today).await;
        let tables = made.and(looked_at).map(|_| format!("{LOADS_TABLE} can be made and read"));
        vec![("dataset", dataset), ("jobs", jobs), ("tables", tables)]
    }

    /// A job goes on by itself: the next load finds it.
    async fn cancel(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_compared_exactly_and_floats_by_their_magnitudes() {
        for (expected, found, magnitude, is_same) in [
            ("1.50", Some("1.5"), None, true),
            ("9007199254740993", Some("9007199254740992"), None, false),
            ("1.5", None, None, false),
            // The sum of large values that cancel out may differ by their rounding.
            ("0.1", Some("0.1000001"), Some("1000"), true),
            ("0.1", Some("0.1000001"), Some("0.1"), false),
            ("0.1", Some("NaN"), Some("NaN"), false),
        ] {
            assert_eq!(is_same_sum(expected, found, magnitude), is_same, "{expected} {found:?} {magnitude:?}");
        }
    }
}
