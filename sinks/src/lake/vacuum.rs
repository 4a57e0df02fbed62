//! What interrupted and replaced runs leave behind: none of it is ever what a reader or a newest done
//! names.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use futures::TryStreamExt as _;
use object_store::{Error, ObjectStoreExt as _};

use super::layout::{ManifestName, report_folder, tenant_folder};
use super::store::Lake;
use crate::failure::SinkFailure;

/// Something that is left over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is.
    pub kind: LeftoverKind,
    /// Its key, relative to the lake.
    pub key: String,
    /// Its length; 0 of an upload, whose length nobody knows.
    pub bytes: u64,
    /// When it was written.
    pub modified: DateTime<Utc>,
}

/// Why something is left over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A file on its way that never came.
    Staging,
    /// A plan below the window's newest done.
    SupersededPlan,
    /// An object of a probe.
    Probe,
    /// A file that a local store had not named yet.
    Unnamed,
    /// Parts of an object that were not put together, by the upload's id.
    Upload(String),
}

impl LeftoverKind {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::SupersededPlan => "superseded plan",
            Self::Probe => "probe",
            Self::Unnamed => "unnamed file",
            Self::Upload(_) => "upload",
        }
    }
}

/// All that is left over of a report and of its tenant's probes, whatever its age: what is young may
/// be a run's that is on its way.
///
/// # Errors
/// Where the store fails.
pub async fn leftovers(lake: &Lake, tenant: &str, report: &str) -> Result<Vec<Leftover>, SinkFailure> {
    let report = report_folder(tenant, report);
    let mut found = superseded_plans(lake, &format!("{report}/manifests")).await?;
    let staging = format!("{report}/staging");
    for (kind, folder) in
        [(LeftoverKind::Staging, &staging), (LeftoverKind::Probe, &format!("{}/probe", tenant_folder(tenant)))]
    {
        // A lock is no leftover: who removes one that is held gives it to two.
        let listed = list(lake, folder).await?.into_iter().filter(|file| !file.key.ends_with(".lock"));
        found.extend(listed.map(|file| Leftover { kind: kind.clone(), ..file }));
    }
    // Never below `data/` and `quarantine/`: what is there is for `verify` to find.
    let of_tenant =
        ["registry", "runs", "metric_catalog", "probe"].map(|folder| format!("{}/{folder}", tenant_folder(tenant)));
    for folder in of_tenant.iter().chain([&format!("{report}/manifests")]) {
        found.extend(lake.unnamed_files(folder)?);
    }
    if let Some(uploads) = lake.uploads() {
        let below = lake.path(&report);
        for (key, id, modified) in Box::pin(uploads.unfinished(&below)).await? {
            let key = lake.relative(&key);
            found.push(Leftover { kind: LeftoverKind::Upload(id), key, bytes: 0, modified });
        }
    }
    found.sort_by(|left, right| left.key.cmp(&right.key));
    Ok(found)
}

/// Removes something that is left over. What is gone already is removed.
///
/// # Errors
/// Where the store refuses.
pub async fn remove_leftover(lake: &Lake, leftover: &Leftover) -> Result<(), SinkFailure> {
    let failed = |error: &dyn std::fmt::Display| {
        SinkFailure::unavailable(
            format!("remove {}: {error}", lake.uri(&leftover.key)),
            "vacuum alone needs the right to delete: give it, or leave it out",
        )
    };
    match (&leftover.kind, lake.uploads()) {
        (LeftoverKind::Upload(id), Some(uploads)) => {
            Box::pin(uploads.remove(&lake.path(&leftover.key), id)).await.map_err(|error| failed(&error))
        }
        (LeftoverKind::Upload(_), None) => Ok(()),
        (LeftoverKind::Unnamed, _) => lake.remove_unnamed(&leftover.key).map_err(|error| failed(&error)),
        _ => match lake.store().delete(&lake.path(&leftover.key)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(&error)),
        },
    }
}

async fn superseded_plans(lake: &Lake, folder: &str) -> Result<Vec<Leftover>, SinkFailure> {
    let mut newest_done: BTreeMap<String, u32> = BTreeMap::new();
    let mut plans = Vec::new();
    for file in list(lake, folder).await? {
        let Some(name) = file.key.rsplit('/').next().and_then(ManifestName::parse) else { continue };
        if name.is_done {
            let newest = newest_done.entry(name.window).or_default();
            *newest = name.sequence.max(*newest);
        } else {
            plans.push((name, file));
        }
    }
    let is_superseded = |name: &ManifestName| newest_done.get(&name.window).is_some_and(|done| name.sequence < *done);
    Ok(plans.into_iter().filter(|(name, _)| is_superseded(name)).map(|(_, file)| file).collect())
}

/// The files below a folder, as superseded plans.
async fn list(lake: &Lake, folder: &str) -> Result<Vec<Leftover>, SinkFailure> {
    let listed: Result<Vec<_>, Error> = lake.store().list(Some(&lake.path(folder))).try_collect().await;
    let listed = listed.map_err(|error| SinkFailure::store(&format!("list {}", lake.uri(folder)), &error))?;
    let leftover = |object: object_store::ObjectMeta| Leftover {
        kind: LeftoverKind::SupersededPlan,
        key: lake.relative(&object.location),
        bytes: object.size,
        modified: object.last_modified,
    };
    Ok(listed.into_iter().map(leftover).collect())
}
