//! What is committed of a day, as a warehouse loads it.

use std::sync::Arc;

use chrono::NaiveDate;
use cxlake_sinks::lake::{Done, Lake, ObjectKind, WindowAddress, WindowCommit, committed_windows_of};
use cxlake_sinks::warehouse::{LoadFile, LoadTable, TableLoad, add_sums};
use sha2::{Digest as _, Sha256};

use super::registry_store::RegistryStore;
use crate::columns::quarantine_schema;
use crate::registry::{Column, ColumnOrigin, ReportColumns, data_schema};
use crate::settings::{DriftPolicy, ReportSettings, StandardColumn};
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
        // The files may be of a time when the tenant had another spelling of a key, which makes the same name.
        let asked = || report.group_by.iter().filter(|column| report.key.contains(&column.source));
        let keys: Vec<String> = asked().filter_map(|key| Some(requested(columns, key)?.name.clone())).collect();
        let is_whole = keys.len() == asked().count();
        if !is_whole {
            tracing::warn!(report = report.name, "the day's files lack a column of the key: rows have no key there");
        }
        Ok(LoadTable {
            name: report.table.clone(),
            owner,
            key: if is_whole { keys } else { Vec::new() },
            schema: Arc::clone(&data_schema(columns)),
            date_column: DATE_COLUMN.to_owned(),
            adds_columns: report.policy.new_metric == DriftPolicy::Evolve,
        })
    }
}

/// The column of a key of `group_by` in files of a registry version.
fn requested<'a>(columns: &'a ReportColumns, key: &StandardColumn) -> Option<&'a Column> {
    let standard =
        || columns.columns.iter().filter(|column| column.origin != ColumnOrigin::CustomMetric && column.requested);
    let is_named = |column: &&Column| {
        column.name == key.name || column.name == format!("{}__{}", key.name, column.column_type.name_suffix())
    };
    standard().find(|column| column.source == key.source).or_else(|| standard().find(is_named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{ColumnType, Constraints};

    #[test]
    fn a_key_is_found_in_files_of_another_spelling_or_type() {
        fn check(columns: &[(&str, &str, bool)], expected: Option<&str>) {
            let column = |(name, source, requested): &(&str, &str, bool)| Column {
                name: (*name).to_owned(),
                origin: ColumnOrigin::GroupBy,
                source: (*source).to_owned(),
                earlier_sources: Vec::new(),
                column_type: ColumnType::String,
                required: true,
                constraints: Constraints::default(),
                requested: *requested,
                field_id: 1,
                display_name: None,
            };
            let record_schema = serde_json::value::RawValue::NULL.to_owned();
            let columns = ReportColumns { columns: columns.iter().map(column).collect(), record_schema };
            let key = StandardColumn {
                source: "interactionId".to_owned(),
                name: "interaction_id".to_owned(),
                column_type: ColumnType::String,
                required: true,
                constraints: Constraints::default(),
            };
            assert_eq!(requested(&columns, &key).map(|column| column.name.as_str()), expected);
        }
        check(&[("interaction_id", "interactionId", true)], Some("interaction_id"));
        check(&[("interaction_id", "interactionID", true)], Some("interaction_id"));
        let retyped = [("interaction_id", "interactionId", false), ("interaction_id__integer", "interactionId", true)];
        check(&retyped, Some("interaction_id__integer"));
        check(&[("interaction", "interaction", true)], None);
        let longer = [("interaction_id__x", "interactionId__x", true), ("interaction_id", "interactionId", true)];
        check(&longer, Some("interaction_id"));
    }
}
