//! What is committed in a lake, and its objects back on the disk.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use chrono::NaiveDate;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::layout::{ManifestName, WindowAddress, report_folder};
use super::manifest::ObjectProof;
use super::store::Lake;
use crate::failure::SinkFailure;
use crate::parquet::hex;

/// The windows of a report that were ever committed, of the days that `wanted` says, in order.
///
/// # Errors
/// Where the store fails.
pub async fn committed_windows(
    lake: &Lake,
    tenant: &str,
    report: &str,
    wanted: impl Fn(NaiveDate) -> bool,
) -> Result<Vec<WindowAddress>, SinkFailure> {
    let mut found = BTreeSet::new();
    for (key, _) in lake.list(&format!("{}/manifests", report_folder(tenant, report))).await? {
        let mut parts = key.rsplit('/');
        let name = parts.next().and_then(ManifestName::parse).filter(|name| name.is_done);
        let date = parts.next().and_then(|folder| folder.strip_prefix("dt=")?.parse().ok());
        if let (Some(name), Some(date)) = (name, date)
            && wanted(date)
        {
            found.insert((date, name.window));
        }
    }
    let address = |(date, window)| WindowAddress { tenant: tenant.to_owned(), report: report.to_owned(), date, window };
    Ok(found.into_iter().map(address).collect())
}

impl Lake {
    /// A committed object as a temporary file in `folder`: exactly what its manifest says.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Mismatch`] where it is another, or not there.
    pub async fn fetch(&self, proof: &ObjectProof, folder: &Path) -> Result<NamedTempFile, SinkFailure> {
        let uri = self.uri(&proof.key);
        let disk = |error: std::io::Error| SinkFailure::disk("write a temporary file", &error);
        let mut file = NamedTempFile::new_in(folder).map_err(disk)?;
        let failed = |error: object_store::Error| match error {
            object_store::Error::NotFound { .. } => SinkFailure::mismatch(format!("read {uri}: it is not there")),
            error => SinkFailure::store(&format!("read {uri}"), &error),
        };
        let mut chunks = self.store().get(&self.path(&proof.key)).await.map_err(failed)?.into_stream();
        let mut hash = Sha256::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed)?;
            hash.update(&chunk);
            file.write_all(&chunk).map_err(disk)?;
        }
        let found = hex(&hash.finalize());
        if found != proof.sha256 {
            return Err(SinkFailure::mismatch(format!(
                "read {uri}: its sha256 is {found}, the manifest says {}",
                proof.sha256
            )));
        }
        Ok(file)
    }
}
