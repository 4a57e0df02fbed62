//! A window's two files and the plan that promises them, whoever made their rows.

use cxlake_sinks::lake::{
    Extract, ManifestWindow, ObjectKind, ObjectProof, PLAN_FORMAT, PageProof, PagesProof, Plan, ReplayProof, RowProof,
    ValueSum, WindowAddress,
};
use cxlake_sinks::parquet::{ParquetWriter, StagedFile};

use super::Environment;
use crate::columns::{ColumnSum, TypedPage};
use crate::settings::limits::LISTED_PAGES;
use crate::vocabulary::{Failure, RowCounts};
use crate::window::Window;

/// Which window it is, and under which registry version its rows are.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowIdentity<'a> {
    pub(super) tenant: &'a str,
    pub(super) report: &'a str,
    pub(super) window: Window,
    pub(super) time_zone: &'a str,
    pub(super) registry_version: u32,
}

/// What a window's files hold. The files only lack their footers.
pub(super) struct Contents {
    pub(super) data: ParquetWriter,
    pub(super) quarantine: ParquetWriter,
    pub(super) rows: RowCounts,
    pub(super) sums: Vec<ColumnSum>,
    pub(super) pages: PagesProof,
    pub(super) extract_sha256: String,
    pub(super) replays: Vec<ReplayProof>,
}

/// The proof of pages that were typed.
pub(super) fn pages_proof(pages: &[TypedPage]) -> PagesProof {
    let page = |page: &TypedPage| PageProof {
        first_offset: page.first_offset,
        records: page.records,
        xxh3: format!("{:032x}", page.xxh3),
    };
    let each = if pages.len() <= LISTED_PAGES { pages.iter().map(page).collect() } else { Vec::new() };
    PagesProof { count: pages.len() as u64, each }
}

impl WindowIdentity<'_> {
    pub(super) fn address(&self) -> WindowAddress {
        WindowAddress {
            tenant: self.tenant.to_owned(),
            report: self.report.to_owned(),
            date: self.window.date,
            window: self.window.name(),
        }
    }

    /// The footers' key-values: no clock and no run id, so that the same input gives the same bytes.
    pub(super) fn key_values(&self, sequence: u32, extract_sha256: &str) -> Vec<(String, String)> {
        [
            ("cxlake.tenant", self.tenant.to_owned()),
            ("cxlake.report", self.report.to_owned()),
            ("cxlake.window", self.window.name()),
            ("cxlake.time_zone", self.time_zone.to_owned()),
            ("cxlake.registry_version", self.registry_version.to_string()),
            ("cxlake.sequence", sequence.to_string()),
            ("cxlake.extract_sha256", extract_sha256.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }

    /// Ends the files under a plan's number.
    pub(super) async fn finish(
        &self,
        contents: Contents,
        sequence: u32,
        environment: &Environment,
    ) -> Result<(Plan, Extract), Failure> {
        let Contents { data, quarantine, rows, sums, pages, extract_sha256, replays } = contents;
        let key_values = self.key_values(sequence, &extract_sha256);
        let finish = move || {
            Ok::<_, Failure>(Extract { data: data.finish(&key_values)?, quarantine: quarantine.finish(&key_values)? })
        };
        let extract = tokio::task::spawn_blocking(finish)
            .await
            .map_err(|error| Failure::defect(format!("end the window's files: {error}")))??;
        let address = self.address();
        let proof = |kind, file: &StagedFile| ObjectProof {
            key: address.object(kind),
            rows: file.rows,
            bytes: file.bytes,
            sha256: file.sha256.clone(),
        };
        let (start, end) = self.window.bounds();
        let plan = Plan {
            format: PLAN_FORMAT.to_owned(),
            sequence,
            run_id: environment.run_id.clone(),
            created_at: environment.now_text(),
            tenant: self.tenant.to_owned(),
            report: self.report.to_owned(),
            window: ManifestWindow {
                start,
                end,
                time_zone: self.time_zone.to_owned(),
                date: self.window.date.to_string(),
            },
            registry_version: self.registry_version,
            rows: RowProof {
                expected: rows.expected,
                fetched: rows.fetched,
                accepted: rows.accepted,
                quarantined: rows.quarantined,
                duplicates: rows.duplicates,
            },
            sums: sums
                .into_iter()
                .map(|sum| ValueSum { column: sum.column, values: sum.values, sum: sum.sum })
                .collect(),
            pages,
            extract_sha256,
            replays,
            data: proof(ObjectKind::Data, &extract.data),
            quarantine: proof(ObjectKind::Quarantine, &extract.quarantine),
        };
        Ok((plan, extract))
    }
}
