//! What is committed in a lake, and its objects back on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use chrono::NaiveDate;
use futures::StreamExt as _;
use object_store::ObjectStoreExt as _;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::commit::{History, WindowCommit};
use super::layout::{ManifestName, ObjectKind, WindowAddress, report_folder};
use super::manifest::{ObjectProof, Plan, Promise};
use super::store::Lake;
use crate::failure::{SinkFailure, SinkFailureKind};
use crate::parquet::{StagedFile, hex};

/// How often an object that is not what its manifest says is read: it may be on its way.
const FETCH_TRIES: u32 = 3;
/// The pause before it is read again, times the number of the try.
const FETCH_PAUSE: Duration = Duration::from_millis(200);

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
        if let Some((date, name)) = dated_name(&key)
            && name.is_done
            && wanted(date)
        {
            found.insert((date, name.window));
        }
    }
    let address = |(date, window)| WindowAddress { tenant: tenant.to_owned(), report: report.to_owned(), date, window };
    Ok(found.into_iter().map(address).collect())
}

/// Days that are listed one by one rather than with all that a report has.
const LISTED_DAYS: usize = 31;

/// The windows of a report's days that are committed, and that no newer plan is about to replace.
///
/// # Errors
/// Where the store fails.
pub async fn settled_windows(
    lake: &Lake,
    tenant: &str,
    report: &str,
    days: &BTreeSet<NaiveDate>,
) -> Result<BTreeSet<(NaiveDate, String)>, SinkFailure> {
    let all = format!("{}/manifests", report_folder(tenant, report));
    let folders =
        if days.len() <= LISTED_DAYS { days.iter().map(|day| format!("{all}/dt={day}")).collect() } else { vec![all] };
    let mut listed = Vec::new();
    for folder in folders {
        listed.extend(lake.list(&folder).await?);
    }
    let mut newest: BTreeMap<(NaiveDate, String), (u32, u32)> = BTreeMap::new();
    for (key, _) in listed {
        let Some((date, name)) = dated_name(&key) else { continue };
        let (plan, done) = newest.entry((date, name.window)).or_default();
        let number = if name.is_done { done } else { plan };
        *number = name.sequence.max(*number);
    }
    let is_settled = |(plan, done): &(u32, u32)| *done > 0 && plan <= done;
    Ok(newest.into_iter().filter(|(_, numbers)| is_settled(numbers)).map(|(window, _)| window).collect())
}

/// What the key of a manifest says.
fn dated_name(key: &str) -> Option<(NaiveDate, ManifestName)> {
    let mut parts = key.rsplit('/');
    let name = ManifestName::parse(parts.next()?)?;
    Some((parts.next()?.strip_prefix("dt=")?.parse().ok()?, name))
}

/// The windows of one day of a report that were ever committed, in order.
///
/// # Errors
/// Where the store fails.
pub async fn committed_windows_of(
    lake: &Lake,
    tenant: &str,
    report: &str,
    date: NaiveDate,
) -> Result<Vec<WindowAddress>, SinkFailure> {
    let address = |window: String| WindowAddress { tenant: tenant.to_owned(), report: report.to_owned(), date, window };
    let listed = lake.list(&address(String::new()).manifests(date)).await?;
    let names = listed.iter().filter_map(|(key, _)| ManifestName::parse(key.rsplit('/').next()?));
    let windows: BTreeSet<String> = names.filter(|name| name.is_done).map(|name| name.window).collect();
    Ok(windows.into_iter().map(address).collect())
}

/// An object on the disk, and the promise that it keeps.
#[derive(Debug)]
pub struct StoredObject {
    /// What its manifest says.
    pub promise: Promise,
    /// Its content, hash-checked.
    pub file: StagedFile,
}

impl WindowCommit<'_> {
    /// What an open plan says; `None` where the newest plan is done.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn open_plan(&self, history: &History) -> Result<Option<Plan>, SinkFailure> {
        match (history.settled(), history.highest_plan) {
            (None, Some(sequence)) => self.read_plan(sequence).await,
            _ => Ok(None),
        }
    }

    async fn read_plan(&self, sequence: u32) -> Result<Option<Plan>, SinkFailure> {
        let content = self.lake.get(&self.address.plan(sequence)).await?;
        Ok(content.and_then(|content| serde_json::from_slice(&content).ok()))
    }

    /// An object as a temporary file in `folder`: exactly what the manifest of its number says, be it
    /// done or open. One that is replaced meanwhile is read again.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Mismatch`] where it is another, or not there.
    pub async fn fetch(&self, kind: ObjectKind, folder: &Path) -> Result<StoredObject, SinkFailure> {
        for attempt in 1..FETCH_TRIES {
            match self.try_fetch(kind, folder).await {
                Err(failure) if failure.kind == SinkFailureKind::Mismatch => {
                    tokio::time::sleep(FETCH_PAUSE * attempt).await;
                }
                outcome => return outcome,
            }
        }
        self.try_fetch(kind, folder).await
    }

    async fn try_fetch(&self, kind: ObjectKind, folder: &Path) -> Result<StoredObject, SinkFailure> {
        let key = self.address.object(kind);
        let wrong = |reason: &str| SinkFailure::mismatch(format!("read {}: {reason}", self.lake.uri(&key)));
        let state = self.lake.state(&key).await?.ok_or_else(|| wrong("it is not there"))?;
        let sequence = state.sequence().ok_or_else(|| wrong("it is no object of cxlake's"))?;
        let promise = match self.read_done(sequence).await? {
            Some(done) => Some(Promise::from(done)),
            None => self.read_plan(sequence).await?.map(Promise::from),
        };
        let promise = promise.ok_or_else(|| wrong("no manifest promises it"))?;
        let proof = promise.of(kind).clone();
        let file = self.lake.fetch(&proof, folder).await?;
        let file = StagedFile { file, rows: proof.rows, bytes: proof.bytes, sha256: proof.sha256 };
        Ok(StoredObject { promise, file })
    }
}

impl Lake {
    /// An object as a temporary file in `folder`: exactly what its manifest says.
    async fn fetch(&self, proof: &ObjectProof, folder: &Path) -> Result<NamedTempFile, SinkFailure> {
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
