//! Plans and dones (`schemas/manifest.schema.json`): what was to be published, and what was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layout::ObjectKind;

/// The format of plans.
pub const PLAN_FORMAT: &str = "cxlake.plan/1";
/// The format of dones.
pub const DONE_FORMAT: &str = "cxlake.done/1";

/// What a run is about to publish for a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// `cxlake.plan/1`.
    pub format: String,
    /// The plan's number: the highest wins.
    pub sequence: u32,
    /// The run that made it.
    pub run_id: String,
    /// When, RFC 3339 in UTC.
    pub created_at: String,
    /// The tenant's folder.
    pub tenant: String,
    /// The report's folder.
    pub report: String,
    /// The window.
    pub window: ManifestWindow,
    /// The registry version of the rows.
    pub registry_version: u32,
    /// What became of the window's records.
    pub rows: RowProof,
    /// Sums of the numeric columns of the accepted rows.
    pub sums: Vec<ValueSum>,
    /// The pages that the records came in.
    #[serde(default)]
    pub pages: PagesProof,
    /// The hash of what the objects are made from.
    pub extract_sha256: String,
    /// Replays of rejects since the window was extracted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<ReplayProof>,
    /// Accepted rows.
    pub data: ObjectProof,
    /// Rejected records.
    pub quarantine: ObjectProof,
}

/// A window as a manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestWindow {
    /// The first instant, RFC 3339 in UTC.
    pub start: String,
    /// The first instant after it.
    pub end: String,
    /// The tenant's zone.
    pub time_zone: String,
    /// The partition `dt`.
    pub date: String,
}

/// Counts that add up: `expected = fetched = accepted + quarantined + duplicates`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowProof {
    /// What the source said there is.
    pub expected: u64,
    /// What it delivered.
    pub fetched: u64,
    /// Rows in `data/`.
    pub accepted: u64,
    /// Rows in `quarantine/`.
    pub quarantined: u64,
    /// Records whose exact text had been accepted before.
    pub duplicates: u64,
}

/// A sum of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValueSum {
    /// The column.
    pub column: String,
    /// Rows with a value.
    pub values: u64,
    /// Their sum, as decimal text.
    pub sum: String,
}

/// The pages of a window's extract, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PagesProof {
    /// How many.
    pub count: u64,
    /// Each of them; left out where there are too many to list.
    pub each: Vec<PageProof>,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PageProof {
    /// The place of its first record in the extract, from 0.
    pub first_offset: u64,
    /// Its records.
    pub records: u64,
    /// XXH3 (128 bits, in hex) of the page from its first record's first byte to its last one's last.
    pub xxh3: String,
}

/// Rejects that were tried again and moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayProof {
    /// The run that did it.
    pub run_id: String,
    /// The number of the done that it began from.
    pub of_sequence: u32,
    /// The registry version whose rules it tried.
    pub registry_version: u32,
    /// Rejects that are rows now, the last of the file.
    pub accepted: u64,
    /// Rejects whose key and exact text were accepted with them.
    pub duplicates: u64,
}

/// An object and what proves that it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectProof {
    /// Its key, relative to the lake.
    pub key: String,
    /// Its rows.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// The hash of its content, in hex.
    pub sha256: String,
}

/// What a run has published for a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// `cxlake.done/1`.
    pub format: String,
    /// The number of the plan that it completes.
    pub sequence: u32,
    /// The run that made it.
    pub run_id: String,
    /// When, RFC 3339 in UTC.
    pub committed_at: String,
    /// The tenant's folder.
    pub tenant: String,
    /// The report's folder.
    pub report: String,
    /// The window.
    pub window: ManifestWindow,
    /// The registry version of the rows.
    pub registry_version: u32,
    /// What became of the window's records.
    pub rows: RowProof,
    /// Sums of the numeric columns of the accepted rows.
    pub sums: Vec<ValueSum>,
    /// The pages that the records came in.
    #[serde(default)]
    pub pages: PagesProof,
    /// The hash of what the objects are made from.
    pub extract_sha256: String,
    /// Replays of rejects since the window was extracted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<ReplayProof>,
    /// Accepted rows.
    pub data: PublishedObject,
    /// Rejected records.
    pub quarantine: PublishedObject,
}

/// An object in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublishedObject {
    /// The object and what proves that it is whole.
    #[serde(flatten)]
    pub proof: ObjectProof,
    /// The store's tag of this version of it, where the store gives one.
    pub etag: Option<String>,
}

/// What a manifest says of a window's objects, published or about to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// The number that the objects have in their footers.
    pub sequence: u32,
    /// What became of the window's records.
    pub rows: RowProof,
    /// Sums of the numeric columns of the accepted rows.
    pub sums: Vec<ValueSum>,
    /// The pages that the records came in.
    pub pages: PagesProof,
    /// The hash of what the objects are made from.
    pub extract_sha256: String,
    /// Replays of rejects since the window was extracted, oldest first.
    pub replays: Vec<ReplayProof>,
    /// Accepted rows.
    pub data: ObjectProof,
    /// Rejected records.
    pub quarantine: ObjectProof,
}

impl Promise {
    /// The promise of one of the objects.
    pub fn of(&self, kind: ObjectKind) -> &ObjectProof {
        match kind {
            ObjectKind::Data => &self.data,
            ObjectKind::Quarantine => &self.quarantine,
        }
    }
}

impl From<Plan> for Promise {
    fn from(plan: Plan) -> Self {
        let Plan { sequence, rows, sums, pages, extract_sha256, replays, data, quarantine, .. } = plan;
        Self { sequence, rows, sums, pages, extract_sha256, replays, data, quarantine }
    }
}

impl From<Done> for Promise {
    fn from(done: Done) -> Self {
        let Done { sequence, rows, sums, pages, extract_sha256, replays, data, quarantine, .. } = done;
        Self { sequence, rows, sums, pages, extract_sha256, replays, data: data.proof, quarantine: quarantine.proof }
    }
}

impl Done {
    /// The done of a plan.
    pub(super) fn of(plan: &Plan, committed_at: String, data: Option<String>, quarantine: Option<String>) -> Self {
        Self {
            format: DONE_FORMAT.to_owned(),
            sequence: plan.sequence,
            run_id: plan.run_id.clone(),
            committed_at,
            tenant: plan.tenant.clone(),
            report: plan.report.clone(),
            window: plan.window.clone(),
            registry_version: plan.registry_version,
            rows: plan.rows,
            sums: plan.sums.clone(),
            pages: plan.pages.clone(),
            extract_sha256: plan.extract_sha256.clone(),
            replays: plan.replays.clone(),
            data: PublishedObject { proof: plan.data.clone(), etag: data },
            quarantine: PublishedObject { proof: plan.quarantine.clone(), etag: quarantine },
        }
    }
}
