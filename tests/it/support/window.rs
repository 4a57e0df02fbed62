//! A window of the first of January, committed as a run does it.

use cxlake_sinks::failure::SinkFailure;
use cxlake_sinks::lake::{
    Committed, Extract, Findings, Lake, ManifestWindow, ObjectKind, ObjectProof, PLAN_FORMAT, PagesProof, Plan,
    RowProof, Scrutiny, WindowAddress, WindowCommit, verify_report,
};
use cxlake_sinks::parquet::StagedFile;

pub(crate) fn window_address() -> WindowAddress {
    WindowAddress {
        tenant: "acme".to_owned(),
        report: "calls".to_owned(),
        date: "2024-01-01".parse().unwrap(),
        window: "20240101T050000Z-20240102T050000Z".to_owned(),
    }
}

/// What a file's footer says of its plan.
pub(crate) fn footer(sequence: u32, extract_sha256: &str) -> Vec<(String, String)> {
    let pairs = [("cxlake.sequence", sequence.to_string()), ("cxlake.extract_sha256", extract_sha256.to_owned())];
    pairs.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

/// Commits files with such footers.
pub(crate) async fn commit_files(
    lake: &Lake,
    sequence: u32,
    extract_sha256: &str,
    extract: &Extract,
) -> Result<Committed, SinkFailure> {
    let address = window_address();
    let proof = |kind: ObjectKind, file: &StagedFile| ObjectProof {
        key: address.object(kind),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
    };
    let (accepted, quarantined) = (extract.data.rows, extract.quarantine.rows);
    let total = accepted + quarantined;
    let plan = Plan {
        format: PLAN_FORMAT.to_owned(),
        sequence,
        run_id: extract_sha256.to_owned(),
        created_at: String::new(),
        tenant: address.tenant.clone(),
        report: address.report.clone(),
        window: ManifestWindow {
            start: "2024-01-01T05:00:00Z".to_owned(),
            end: "2024-01-02T05:00:00Z".to_owned(),
            time_zone: "America/New_York".to_owned(),
            date: "2024-01-01".to_owned(),
        },
        registry_version: 1,
        rows: RowProof { expected: total, fetched: total, accepted, quarantined, duplicates: 0 },
        sums: Vec::new(),
        pages: PagesProof::default(),
        replays: Vec::new(),
        extract_sha256: extract_sha256.to_owned(),
        data: proof(ObjectKind::Data, &extract.data),
        quarantine: proof(ObjectKind::Quarantine, &extract.quarantine),
    };
    WindowCommit { lake, address: &address }.commit(&plan, extract, String::new).await
}

/// What `cxlake verify` would find of the report.
pub(crate) async fn verified(lake: &Lake) -> Findings {
    let mut findings = Findings::default();
    verify_report(lake, "acme", "calls", &Scrutiny::default(), &mut findings).await.unwrap();
    findings
}
