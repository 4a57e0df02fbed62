//! Loads of committed days into a warehouse: exactly the rows of the day's files, replaced as a
//! whole, never appended (`src/ARCHITECTURE.md`, "A day's load").
//!
//! What is loaded is a day's partition of a table, from all files that are committed for it. A load
//! is known by the hash of what it loads ([`TableLoad::load_id`]): one that was cut off finds its own
//! work again, and the table `_cxlake_loads` of each warehouse says what stands where.

#[cfg(feature = "bigquery")]
mod bigquery;
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
mod columns;
mod location;
mod parity;
#[cfg(feature = "snowflake")]
mod snowflake;

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

pub use location::{BigQueryLocation, LoadMode, Loader, SnowflakeCredentials, SnowflakeLocation, WarehouseLocation};
pub use parity::add_sums;

use crate::failure::SinkFailure;
use crate::lake::ValueSum;
use crate::parquet::hex;

/// The table in which a warehouse keeps what was loaded.
pub const LOADS_TABLE: &str = "_cxlake_loads";

/// How often a load is tried anew where the warehouse says that its failure passes.
#[cfg(feature = "bigquery")]
const LOAD_TRIES: u32 = 3;

/// A table that days are loaded into.
#[derive(Clone, Debug)]
pub struct LoadTable {
    /// Its name.
    pub name: String,
    /// Whose rows it holds: a table of other rows is refused.
    pub owner: String,
    /// The columns of its rows, by name, all optional.
    pub schema: SchemaRef,
    /// The column of the day, by which it is partitioned.
    pub date_column: String,
    /// The columns that name a row, by which it is clustered; none where rows have no key.
    pub key: Vec<String>,
    /// Whether columns that it lacks are added.
    pub adds_columns: bool,
}

/// A committed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFile {
    /// Its URI.
    pub uri: String,
    /// Its key, relative to the lake.
    pub key: String,
}

/// One day of a table.
#[derive(Clone, Debug)]
pub struct TableLoad {
    /// Where it goes.
    pub table: LoadTable,
    /// The day.
    pub date: NaiveDate,
    /// Grows with each commit of a window of the day.
    pub sequence: u64,
    /// The hash of everything that is committed for the day, in hex.
    pub content_sha256: String,
    /// All files of the day.
    pub files: Vec<LoadFile>,
    /// Their rows.
    pub rows: u64,
    /// Sums of their numeric columns.
    pub sums: Vec<ValueSum>,
    /// Whether the warehouse is known to hold something else than an earlier load of the same says.
    pub again: bool,
}

impl TableLoad {
    /// What the load is known by: the hash of what is loaded and where to, in hex.
    pub fn load_id(&self, target: &str) -> String {
        let mut hash = Sha256::new();
        for part in ["cxlake.load/1", target, &self.table.name, &self.date.to_string(), &self.content_sha256] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hex(&hash.finalize())
    }
}

/// What a warehouse says of a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedDay {
    /// What was loaded last.
    pub content_sha256: String,
    /// Its sequence.
    pub sequence: u64,
    /// The rows that the day has now.
    pub rows: u64,
}

/// A load that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Rows of the day in the table, as it counts them.
    pub rows: u64,
    /// The job or statement that did it, by the warehouse's name for it.
    pub job: String,
}

/// A probe of a warehouse: what was tried, and what was seen.
pub type WarehouseProbe = (&'static str, Result<String, SinkFailure>);

/// A warehouse.
#[async_trait]
pub trait Warehouse: Send + Sync {
    /// What is loaded of a table, between two days, both included. A table that is not there has
    /// nothing.
    async fn loaded_days(
        &self,
        table: &LoadTable,
        first: NaiveDate,
        last: NaiveDate,
    ) -> Result<BTreeMap<NaiveDate, LoadedDay>, SinkFailure>;

    /// Whether a day that has as many rows as `load`, and was `load` when it was loaded, still is. A
    /// warehouse whose loads write a day whole need not look: there the count tells.
    async fn holds(&self, load: &TableLoad) -> Result<bool, SinkFailure>;

    /// Replaces a day by the rows of its files, makes or widens the table where it must, and proves
    /// the outcome: count and sums are those of the manifests.
    async fn load(&self, load: &TableLoad) -> Result<Loaded, SinkFailure>;

    /// Proves that loads can work.
    async fn probe(&self) -> Vec<WarehouseProbe>;

    /// Ends what the warehouse still does for this process.
    async fn cancel(&self);
}

/// What the rows of `_cxlake_loads` say, oldest first: day, sequence, contents, owner. A row without
/// contents is no load.
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
fn noted_days(table: &LoadTable, rows: &[Vec<Option<String>>]) -> Result<BTreeMap<NaiveDate, LoadedDay>, SinkFailure> {
    let mut days = BTreeMap::new();
    for row in rows {
        let [Some(date), Some(sequence), content_sha256, Some(owner)] = row.as_slice() else { continue };
        if *owner != table.owner {
            return Err(foreign(table, owner));
        }
        if let (Ok(date), Ok(sequence), Some(content_sha256)) = (date.parse(), sequence.parse(), content_sha256) {
            days.insert(date, LoadedDay { content_sha256: content_sha256.clone(), sequence, rows: 0 });
        }
    }
    Ok(days)
}

/// Adds what the table counts, from rows of day and count.
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
fn count_days(days: &mut BTreeMap<NaiveDate, LoadedDay>, rows: &[Vec<Option<String>>]) {
    for row in rows {
        let [Some(date), Some(count)] = row.as_slice() else { continue };
        if let Some(day) = date.parse().ok().and_then(|date| days.get_mut(&date)) {
            day.rows = count.parse().unwrap_or_default();
        }
    }
}

/// A table that is looked for by probes.
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
fn probe_table() -> LoadTable {
    LoadTable {
        name: "_cxlake_probe".to_owned(),
        owner: "a probe".to_owned(),
        schema: std::sync::Arc::new(arrow::datatypes::Schema::empty()),
        date_column: "report_date".to_owned(),
        key: Vec::new(),
        adds_columns: false,
    }
}

/// A table that holds the rows of somebody else.
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
fn foreign(table: &LoadTable, owner: &str) -> SinkFailure {
    let own = table.owner.split(' ').next().unwrap_or_default().replace(['/', '.', '-'], "_");
    SinkFailure::load(
        format!("load {} into the table {}: it holds {owner}", table.owner, table.name),
        format!("name another table in the report: table = \"{own}\"; then `cxlake load`"),
    )
}
