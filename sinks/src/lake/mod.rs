//! Committed windows in a lake: one object a window and kind under a name that only the window
//! decides, published by conditional put behind a numbered plan (`src/ARCHITECTURE.md`, "A
//! window's commit").

#[cfg(feature = "s3")]
mod aws_credentials;
#[cfg(feature = "azure")]
mod azure;
mod commit;
mod committed;
mod conformance;
#[cfg(feature = "gcs")]
mod gcs;
mod layout;
mod local;
mod location;
mod manifest;
#[cfg(not(feature = "s3"))]
mod no_uploads;
mod probe;
mod rights;
#[cfg(feature = "s3")]
mod s3;
#[cfg(feature = "s3")]
mod s3_uploads;
mod store;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod store_requests;
mod vacuum;
mod verify;

pub use commit::{Committed, Extract, History, WindowCommit};
pub use committed::{StoredObject, committed_windows, committed_windows_of, settled_windows};
pub use conformance::{Check, conformance};
pub use layout::{ObjectKind, WindowAddress, report_folder, tenant_folder};
pub use location::LakeLocation;
pub use manifest::{
    DONE_FORMAT, Done, ManifestWindow, ObjectProof, PLAN_FORMAT, PageProof, PagesProof, Plan, Promise, PublishedObject,
    ReplayProof, RowProof, ValueSum,
};
pub use probe::{LargeWrites, probe_conditions, probe_large_write};
pub use rights::least_rights;
pub use store::{Lake, ObjectState, READS_AT_ONCE};
pub use vacuum::{Leftover, LeftoverKind, leftovers, remove_leftover};
pub use verify::{ExpectedSchemas, Findings, Sample, Scrutiny, verify_report};

#[cfg(test)]
mod tests;
