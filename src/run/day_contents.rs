//! What is committed of a day, as a warehouse loads it.

use std::sync::Arc;

use chrono::NaiveDate;
use cxlake_sinks::lake::{Done, Lake, ObjectKind, WindowAddress, WindowCommit, committed_windows_of};
use cxlake_sinks::warehouse::{LoadFile, LoadTable, TableLoad, add_sums};
use sha2::{Digest as _, Sha256};

use super::registry_store::RegistryStore;
use crate::columns::quarantine_schema;
use crate::registry::{ColumnOrigin, data_schema};
use crate::settings::{DriftPolicy, ReportSettings};
use crate::vocabulary::{Failure, FailureKind};

/// The column by which tables are partitioned.
const DATE_COLUMN: &str = "report_date";

/// The committed windows of a day, in order.
pub(super) struct DayContents {
    date: NaiveDate,
    windows: Vec<(WindowAddress, Done)>,
}

impl DayContents {
    /// Reads the manifests of a day; the inner failure where a window of it is being replaced: then no
    /// manifest says what its objects hold.
    ///
    /// # Errors
    /// Where the lake cannot be read.
    pub(super) async fn read(
        lake: &Lake,
        report: &ReportSettings,
        date: NaiveDate,
    ) -> Result<Result<Self, Failure>, Failure> {
        let mut windows = Vec::new();
        for address in committed_windows_of(lake, &report.tenant, &report.name, date).await? {
            let commit = WindowCommit { lake, address: &address };
            let history = commit.look().await?;
            let Some(done) = &history.newest_done else { continue };
            if history.settled().is_none() && !commit.is_in_place(done).await? {
                return Ok(Err(Failure::new(
                    FailureKind::Load,
                    format!("load {date} of reports.{}: the window {} is being replaced", report.name, address.window),
                )
                .hint("if no run is under way, run the window again: one was cut off")));
            }
            windows.push((address.clone(), done.clone()));
        }
        Ok(Ok(Self { date, windows }))
    }

    /// The same from manifests that were read.
    pub(super) fn of(date: NaiveDate, windows: Vec<(WindowAddress, Done)>) -> Self {
        Self { date, windows }
    }

    /// What tells these contents from all others of the day, in hex.
    pub(super) fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        for (address, done) in &self.windows {
            let sequence = done.sequence.to_string();
            let proofs = [&done.extract_sha256, &done.data.proof.sha256, &done.quarantine.proof.sha256];
            for part in [&address.window, &sequence].into_iter().chain(proofs) {
                hash.update(part.as_bytes());
                hash.update([0]);
            }
        }
        cxlake_sinks::parquet::hex(&hash.finalize())
    }

    /// The load of the accepted rows, or of the rejects.
    pub(super) async fn load(
        &self,
        report: &ReportSettings,
        kind: ObjectKind,
        lake: &Lake,
        registry: &RegistryStore,
    ) -> Result<TableLoad, Failure> {
        let proof = |done: &Done| match kind {
            ObjectKind::Data => done.data.proof.clone(),
            ObjectKind::Quarantine => done.quarantine.proof.clone(),
        };
        let file = |(_, done): &(WindowAddress, Done)| {
            let key = proof(done).key;
            LoadFile { uri: lake.uri(&key), key }
        };
        Ok(TableLoad {
            table: self.table(report, kind, registry).await?,
            date: self.date,
            sequence: self.windows.iter().map(|(_, done)| u64::from(done.sequence)).sum(),
            content_sha256: self.sha256(),
            files: self.windows.iter().map(file).collect(),
            rows: self.windows.iter().map(|(_, done)| proof(done).rows).sum(),
            sums: match kind {
                ObjectKind::Data => add_sums(self.windows.iter().map(|(_, done)| done.sums.as_slice())),
                ObjectKind::Quarantine => Vec::new(),
            },
            again: false,
        })
    }

    /// The newest registry version of the day's files has every column of the older ones.
    async fn table(
        &self,
        report: &ReportSettings,
        kind: ObjectKind,
        registry: &RegistryStore,
    ) -> Result<LoadTable, Failure> {
        let owner = format!("{}/{}", report.tenant, report.name);
        if kind == ObjectKind::Quarantine {
            return Ok(LoadTable {
                name: report.quarantine_table(),
                owner: format!("{owner} rejects"),
                schema: quarantine_schema(),
                date_column: DATE_COLUMN.to_owned(),
                key: Vec::new(),
                adds_columns: true,
            });
        }
        let newest = self.windows.iter().map(|(_, done)| done.registry_version).max().unwrap_or_default();
        let version = registry.read(newest).await?;
        let columns = version.reports.get(&report.name).ok_or_else(|| {
            Failure::new(
                FailureKind::Mismatch,
                format!("find the columns of reports.{} in registry version {newest}", report.name),
            )
            .hint("`cxlake verify` lists what is wrong with the lake")
        })?;
        let is_key = |source: &&String| report.key.contains(source);
        let key_columns = columns
            .columns
            .iter()
            .filter(|column| column.origin != ColumnOrigin::CustomMetric && is_key(&&column.source));
        Ok(LoadTable {
            name: report.table.clone(),
            owner,
            key: key_columns.map(|column| column.name.clone()).collect(),
            schema: Arc::clone(&data_schema(columns)),
            date_column: DATE_COLUMN.to_owned(),
            adds_columns: report.policy.new_metric == DriftPolicy::Evolve,
        })
    }
}
