//! Snowflake: a day is one transaction of one request, copied from the administrator's external
//! stage by explicit file names (`COPY INTO <table>`).

mod api;
mod credentials;
mod stage;
mod statements;
mod tables;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;

use self::api::Api;
use super::{
    LoadTable, Loaded, LoadedDay, Loader, SnowflakeLocation, TableLoad, Warehouse, WarehouseProbe, count_days,
    noted_days, probe_table,
};
use crate::failure::SinkFailure;

/// The pause before a load that met a lock is tried again, times the number of the try.
const LOCK_PAUSE: Duration = Duration::from_secs(2);
/// How often it is tried: for two minutes.
const LOCK_TRIES: u32 = 10;

/// A schema.
pub(super) struct Snowflake {
    api: Api,
    account: String,
    database: String,
    schema: String,
    stage: String,
    loader: Loader,
}

impl Snowflake {
    pub(super) fn open(location: &SnowflakeLocation, loader: &Loader) -> Result<Self, SinkFailure> {
        let location = &in_upper_case(location);
        Ok(Self {
            api: Api::open(location, loader)?,
            account: location.account.clone(),
            database: location.database.clone(),
            schema: location.schema.clone(),
            stage: location.stage.clone(),
            loader: loader.clone(),
        })
    }

    fn target(&self) -> String {
        format!("snowflake/{}/{}/{}", self.account, self.database, self.schema)
    }

    /// The lake's folder below the stage.
    async fn below_stage(&self) -> Result<String, SinkFailure> {
        let doing = format!("read through the stage {}", self.stage);
        let (folder, stage) = match self.stage.rsplit_once('.') {
            Some((schema, stage)) => (format!(" IN SCHEMA {schema}"), stage),
            None => (
                format!(" IN SCHEMA {}.{}", statements::name(&self.database), statements::name(&self.schema)),
                self.stage.as_str(),
            ),
        };
        let sql = format!("SHOW STAGES LIKE {}{folder}", statements::text(stage));
        let found = self.api.statement(&sql).await.map_err(|error| error.failure(&doing))?;
        let column = |name: &str| found.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        let (Some(name), Some(url)) = (column("name"), column("url")) else {
            return Err(SinkFailure::load(
                format!("{doing}: SHOW STAGES tells no URL"),
                "`cxlake check` shows what is wrong",
            ));
        };
        // A name's `_` is any character to LIKE.
        let cell = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
        let row = found.rows.iter().find(|row| cell(row, name).eq_ignore_ascii_case(stage));
        let hint = format!(
            "the administrator makes it: CREATE STAGE {} URL = '{}' STORAGE_INTEGRATION = …, and GRANT USAGE ON STAGE \
             to the role",
            self.stage,
            stage::stage_url(&self.loader.lake_url)
        );
        let Some(row) = row else {
            return Err(SinkFailure::load(format!("{doing}: there is none, or the role may not see it"), hint));
        };
        let url = cell(row, url);
        stage::lake_below_stage(&self.loader.lake_url, &url).ok_or_else(|| {
            SinkFailure::load(format!("{doing}: it points at {url:?}, and the lake is {}", self.loader.lake_url), hint)
        })
    }

    async fn load_once(&self, load: &TableLoad, statements: &[String]) -> Result<String, SinkFailure> {
        let doing = format!("load {} {} into Snowflake", load.table.name, load.date);
        for attempt in 1.. {
            let error = match self.api.script(statements).await {
                Ok(rows) => return Ok(rows.handle),
                Err(error) => error,
            };
            if let Some(words) = error.own_words() {
                if words.starts_with(statements::NEWER) {
                    return Err(SinkFailure::superseded(format!("{doing}: {words}")));
                }
                return Err(SinkFailure::load(
                    format!("{doing}: {words}"),
                    "nothing of the load stays; if the window was replaced meanwhile, `cxlake load` loads what is there now",
                ));
            }
            if !error.is_about_locks() || attempt >= LOCK_TRIES {
                return Err(error.failure(&doing));
            }
            tracing::warn!(?error, attempt, "the load met another one: trying again");
            tokio::time::sleep(LOCK_PAUSE * attempt).await;
        }
        unreachable!("the last try returns")
    }
}

/// The same names as Snowflake has them where they were made without quotes: what a request says of its context, and what
/// INFORMATION_SCHEMA is asked for, is compared with regard to case ("Snowflake SQL API reference").
fn in_upper_case(location: &SnowflakeLocation) -> SnowflakeLocation {
    SnowflakeLocation {
        database: location.database.to_uppercase(),
        schema: location.schema.to_uppercase(),
        warehouse: location.warehouse.to_uppercase(),
        role: location.role.as_ref().map(|role| role.to_uppercase()),
        ..location.clone()
    }
}

#[async_trait]
impl Warehouse for Snowflake {
    async fn loaded_days(
        &self,
        table: &LoadTable,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<BTreeMap<NaiveDate, LoadedDay>, SinkFailure> {
        let doing = format!("look at what is loaded of {}", table.name);
        let rows = async |sql: String| match self.api.statement(&sql).await {
            Ok(rows) => Ok(rows.rows),
            Err(error) if error.is_no_table() => Ok(Vec::new()),
            Err(error) => Err(error.failure(&doing)),
        };
        let mut days = noted_days(table, &rows(statements::loads_by_day(table, first, last)).await?)?;
        if !days.is_empty() {
            count_days(&mut days, &rows(statements::rows_by_day(table, first, last)).await?);
        }
        Ok(days)
    }

    async fn holds(&self, _load: &TableLoad) -> Result<bool, SinkFailure> {
        Ok(true)
    }

    async fn load(&self, load: &TableLoad) -> Result<Loaded, SinkFailure> {
        let below_stage = self.below_stage().await?;
        let doing = format!("register the load of {} {}", load.table.name, load.date);
        self.api.statement(&statements::create_loads()).await.map_err(|error| error.failure(&doing))?;
        self.prepare_table(&load.table).await?;
        self.api.statement(&statements::register(load)).await.map_err(|error| error.failure(&doing))?;
        let load_id = load.load_id(&self.target());
        let script = statements::load(load, &load_id, &self.stage, &below_stage, &self.loader.run_id);
        let job = self.load_once(load, &script).await?;
        Ok(Loaded { rows: load.rows, job })
    }

    async fn probe(&self) -> Vec<WarehouseProbe> {
        let role = self.api.statement("SELECT CURRENT_ROLE()").await;
        let role = role.map_err(|error| error.failure("sign in to Snowflake")).map(|rows| {
            let role = rows.rows.into_iter().flatten().flatten().next().unwrap_or_default();
            format!("signed in with the role {role}")
        });
        let today = (self.loader.now)().date_naive();
        // A query needs the virtual warehouse too.
        let made = self.api.statement(&statements::create_loads()).await;
        let tables = match made.map_err(|error| error.failure("make a table in Snowflake")) {
            Ok(_) => self.loaded_days(&probe_table(), today, today).await,
            Err(failure) => Err(failure),
        };
        let tables = tables.map(|_| format!("{} can be made and read", super::LOADS_TABLE));
        let stage = self.below_stage().await;
        let stage = stage.map(|below| {
            format!("{} points at the lake{}", self.stage, if below.is_empty() { "" } else { "'s parent" })
        });
        vec![("sign in", role), ("tables", tables), ("stage", stage)]
    }

    async fn cancel(&self) {
        self.api.cancel().await;
    }
}
