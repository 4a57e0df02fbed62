//! Committed days in warehouses.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cxlake_simulator::{Metric, TenantSettings};
use serde_json::Value;

use crate::support::{
    BigQueryServer, Lab, S3Server, SnowflakeServer, StoreProxy, StoreServer, WarehouseServer, python, tenant,
};

/// A tenant, a lake in a store, and a warehouse that reads it, by way of a proxy.
pub(crate) struct House {
    pub(crate) lab: Lab,
    pub(crate) warehouse: Box<dyn WarehouseServer + Send + Sync>,
    pub(crate) proxy: StoreProxy,
    store: Store,
    /// The lake's totals by kind, until it changes.
    totals: Mutex<BTreeMap<String, Value>>,
}

enum Store {
    S3(S3Server),
    Gcs(StoreServer),
}

impl Store {
    /// The server that has the objects.
    fn s3(&self) -> &S3Server {
        match self {
            Self::S3(server) => server,
            Self::Gcs(server) => server.behind().unwrap(),
        }
    }
}

impl House {
    pub(crate) async fn snowflake(settings: TenantSettings) -> Self {
        let store = S3Server::start();
        let warehouse = Box::new(SnowflakeServer::start(store.port()));
        let options = store.options();
        Self::of(Lab::start(settings).await, Store::S3(store), "s3://lake/cxone", &options, warehouse)
    }

    pub(crate) async fn big_query(settings: TenantSettings) -> Self {
        let store = StoreServer::gcs();
        let warehouse = Box::new(BigQueryServer::start(store.behind().unwrap().port()));
        let options = store.configuration(store.port());
        Self::of(Lab::start(settings).await, Store::Gcs(store), "gs://lake/cxone", &options, warehouse)
    }

    fn of(
        mut lab: Lab,
        store: Store,
        url: &str,
        options: &str,
        warehouse: Box<dyn WarehouseServer + Send + Sync>,
    ) -> Self {
        let proxy = StoreProxy::start(warehouse.port());
        let local = format!("url = \"{}\"", lab.lake().display());
        lab.replace(&local, &format!("url = \"{url}\""));
        lab.replace("page_records = 500", "page_records = 500\nload = [\"house\"]");
        lab.add(options);
        lab.add(&warehouse.configuration(proxy.port()));
        Self { lab, warehouse, proxy, store, totals: Mutex::default() }
    }

    /// The lake's own totals of a kind of rows, by day.
    fn totals(&self, kind: &str) -> Value {
        let read = || {
            let files = format!("s3://lake/cxone/acme/calls/{kind}/**/*.parquet");
            serde_json::from_str(&python("totals.py", &[&self.store.s3().endpoint(), &files])).unwrap()
        };
        self.totals.lock().unwrap().entry(kind.to_owned()).or_insert_with(read).clone()
    }

    /// Runs days. What is known of the lake is forgotten.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], code: i32) -> Value {
        self.totals.lock().unwrap().clear();
        self.lab.cxlake(&[&["run"], arguments].concat()).expect(code).summary()
    }

    /// Loads what is not loaded yet.
    #[track_caller]
    pub(crate) fn load(&self, code: i32) -> Value {
        self.lab.cxlake(&["load"]).expect(code).summary()
    }

    /// A table holds what the lake holds: each day's rows, and each column's values and sums.
    #[track_caller]
    pub(crate) fn holds_the_lake(&self, kind: &str, table: &str) {
        let days = self.totals(kind);
        let days = days.as_object().unwrap();
        let all = self.warehouse.sql(&format!("SELECT COUNT(*) FROM TABLE_OF {table}"));
        let expected: u64 = days.values().map(|day| day["rows"].as_u64().unwrap()).sum();
        assert_eq!(all[0][0], Some(expected.to_string()), "{table}");
        for (date, day) in days {
            let columns = day["columns"].as_object().unwrap();
            let measured = columns.iter().enumerate().map(|(place, (column, totals))| {
                let total = match totals[0].as_str().unwrap() {
                    "number" => format!("SUM({column})"),
                    "integer" => format!("CAST(SUM(CAST({column} AS NUMERIC)) AS STRING)"),
                    "text" => format!("CONCAT(MIN({column}), MAX({column}))"),
                    _ => "NULL".to_owned(),
                };
                format!("COUNT({column}) AS values_{place}, {total} AS total_{place}")
            });
            let measured: Vec<String> = measured.collect();
            let query = format!("SELECT {} FROM TABLE_OF {table} WHERE report_date = '{date}'", measured.join(", "));
            let row = self.warehouse.sql(&query).remove(0);
            for ((column, totals), found) in columns.iter().zip(row.chunks(2)) {
                assert_eq!(found[0], Some(totals[1].to_string()), "{table} {date} {column}: values");
                let is_same = match (totals[0].as_str().unwrap(), totals[2].as_str(), found[1].as_deref()) {
                    ("number" | "integer", Some(total), Some(found)) => {
                        let number = |text: &str| text.parse::<f64>().unwrap();
                        (number(total) - number(found)).abs() <= 1e-9 * number(total).abs().max(1.0)
                    }
                    (_, total, found) => total == found,
                };
                assert!(is_same, "{table} {date} {column}: the lake has {totals}, the table {:?}", found[1]);
            }
        }
    }

    /// The view that `sql` prints is made beside the table, and shows it under the names that people know.
    #[track_caller]
    fn views_show_the_table(&self, engine: &str) {
        let views = self.lab.cxlake(&["sql", engine]).expect(0).stdout;
        let file = self.lab.folder().join("views.sql");
        std::fs::write(&file, &views).unwrap();
        assert!(python("views.py", &[&file.display().to_string(), "--parse", engine]).starts_with("Create "));
        self.warehouse.sql(&views);
        let count = |column: &str, table: &str| {
            self.warehouse.sql(&format!("SELECT COUNT({column}), MIN({column}) FROM TABLE_OF {table}"))
        };
        let shown = count("sentiment_confidence_score", "calls_view");
        assert_eq!(shown, count("cm_9f8e7d6c5b4a3210", "calls"));
        assert_ne!(shown[0][0].as_deref(), Some("0"));
    }

    /// Makes each of Snowflake's statements wait before it runs.
    pub(crate) fn slow_snowflake(&self, seconds: f64) {
        self.warehouse.misbehave(&format!("delay?seconds={seconds}"));
    }

    /// Has Snowflake run something once before the next statement that begins with `prefix`.
    pub(crate) fn before_in_snowflake(&self, prefix: &str, sql: &str) {
        let encoded: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("prefix", prefix), ("sql", sql)])
            .finish();
        self.warehouse.misbehave(&format!("before?{encoded}"));
    }

    /// Makes BigQuery's next load jobs fail.
    pub(crate) fn fail_big_query(&self, reason: &str, times: u32) {
        self.warehouse.misbehave(&format!("fail?reason={reason}&times={times}"));
    }

    /// Makes all BigQuery jobs so far another user's.
    pub(crate) fn disown_big_query_jobs(&self) {
        self.warehouse.misbehave("disown");
    }

    /// Makes Google give the next ones who ask no token.
    pub(crate) fn refuse_tokens(&self, error: &str, times: u32) {
        self.warehouse.misbehave(&format!("refuse?error={error}&times={times}"));
    }

    /// Makes BigQuery's next load job wait before it writes what it has read.
    pub(crate) fn hold_big_query(&self, seconds: f64) {
        self.warehouse.misbehave(&format!("hold?seconds={seconds}"));
    }

    pub(crate) fn statuses(summary: &Value) -> Vec<String> {
        let windows = summary["windows"].as_array().unwrap();
        windows.iter().map(|window| window["load"]["house"]["status"].as_str().unwrap_or("none").to_owned()).collect()
    }
}

/// A week lands, twice; a restated day replaces; a retyped metric gets a column of its own; a table
/// that somebody changed is put right.
async fn a_week_lands(house: House, engine: &str) {
    let week = ["--from", "2024-01-01", "--to", "2024-01-08"];
    let summary = house.run(&week, 0);
    assert_eq!(House::statuses(&summary), ["loaded"; 7], "{summary}");
    house.holds_the_lake("data", "calls");
    house.holds_the_lake("quarantine", "calls_quarantine");
    house.views_show_the_table(engine);
    assert_eq!(House::statuses(&house.run(&week, 0)), ["unchanged"; 7]);
    assert_eq!(House::statuses(&house.load(0)), ["unchanged"; 7]);

    house.lab.simulator.change(|tenant| {
        tenant.seed += 1;
        tenant.records_per_day += 30;
        let retyped = &mut tenant.catalog[2];
        *retyped = Metric::new(&retyped.id, &retyped.display_name, "string");
    });
    assert_eq!(House::statuses(&house.run(&["--date", "2024-01-03"], 0)), ["loaded"]);
    house.holds_the_lake("data", "calls");
    house.holds_the_lake("quarantine", "calls_quarantine");

    house.warehouse.sql("DELETE FROM TABLE_OF calls WHERE report_date = '2024-01-05'");
    let mut expected = ["unchanged"; 7];
    expected[4] = "loaded";
    assert_eq!(House::statuses(&house.load(0)), expected);
    house.holds_the_lake("data", "calls");
    let loads =
        house.warehouse.sql("SELECT COUNT(*) FROM TABLE_OF _cxlake_loads WHERE table_name = 'calls' AND sequence > 0");
    assert_eq!(loads[0][0].as_deref(), Some("9"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_lands_in_snowflake() {
    a_week_lands(House::snowflake(TenantSettings { duplicate_every: 0, ..tenant(400) }).await, "snowflake").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_lands_in_big_query() {
    a_week_lands(House::big_query(TenantSettings { duplicate_every: 0, ..tenant(400) }).await, "bigquery").await;
}
