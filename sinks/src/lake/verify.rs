//! A report's objects against its manifests.

use std::collections::{BTreeMap, BTreeSet};

use super::layout::{ManifestName, ObjectKind, overlap, report_folder};
use super::manifest::{Done, PublishedObject};
use super::store::Lake;
use crate::failure::SinkFailure;

/// What a look at a report found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What must not be, each a sentence.
    pub findings: Vec<String>,
    /// What interrupted and replaced runs left behind.
    pub notes: Vec<String>,
    /// Windows that were looked at.
    pub windows: u64,
    /// Objects that were read whole.
    pub objects: u64,
    /// Accepted rows of all windows.
    pub rows: u64,
}

#[derive(Debug, Default)]
struct WindowManifests {
    newest_plan: u32,
    newest_done: Option<(u32, String)>,
    older: u64,
}

/// Reads everything of a report: each object's presence, length, hash and rows against its
/// manifest, strangers, open plans, windows that overlap.
///
/// # Errors
/// Where the store fails.
pub async fn verify_report(lake: &Lake, tenant: &str, report: &str) -> Result<Findings, SinkFailure> {
    let mut result = Findings::default();
    let folder = report_folder(tenant, report);
    let windows = manifests(lake, &folder, &mut result).await?;
    let mut expected = BTreeSet::new();
    for (window, manifests) in &windows {
        result.windows += 1;
        let done_sequence = manifests.newest_done.as_ref().map_or(0, |(sequence, _)| *sequence);
        if manifests.newest_plan > done_sequence {
            result.findings.push(format!(
                "{folder}: the window {window} has the open plan {}: a run was interrupted; run the window again",
                manifests.newest_plan
            ));
        }
        if manifests.older > 0 {
            result.notes.push(format!("{folder}: the window {window} has {} older manifests", manifests.older));
        }
        let Some((_, key)) = &manifests.newest_done else { continue };
        let content = lake.get(key).await?.unwrap_or_default();
        let Ok(done) = serde_json::from_slice::<Done>(&content) else {
            result.findings.push(format!("{key}: not a manifest of cxlake"));
            continue;
        };
        check_counts(key, &done, &mut result);
        for object in [&done.data, &done.quarantine] {
            expected.insert(object.proof.key.clone());
            check_object(lake, &done, object, &mut result).await?;
        }
        result.rows += done.rows.accepted;
    }
    overlaps(&folder, &windows, &mut result);
    strangers(lake, &folder, &expected, &mut result).await?;
    Ok(result)
}

async fn manifests(
    lake: &Lake,
    folder: &str,
    result: &mut Findings,
) -> Result<BTreeMap<String, WindowManifests>, SinkFailure> {
    let mut windows: BTreeMap<String, WindowManifests> = BTreeMap::new();
    for (key, _) in lake.list(&format!("{folder}/manifests")).await? {
        let Some(name) = key.rsplit('/').next().and_then(ManifestName::parse) else {
            result.findings.push(format!("{key}: no manifest has such a name"));
            continue;
        };
        let window = windows.entry(name.window).or_default();
        if !name.is_done {
            if window.newest_plan != 0 {
                window.older += 1;
            }
            window.newest_plan = window.newest_plan.max(name.sequence);
        } else if window.newest_done.as_ref().is_none_or(|(newest, _)| *newest < name.sequence) {
            window.newest_done = Some((name.sequence, key));
        }
    }
    Ok(windows)
}

fn check_counts(key: &str, done: &Done, result: &mut Findings) {
    let rows = done.rows;
    let adds_up = rows.expected == rows.fetched && rows.fetched == rows.accepted + rows.quarantined + rows.duplicates;
    if !adds_up || done.data.proof.rows != rows.accepted || done.quarantine.proof.rows != rows.quarantined {
        result.findings.push(format!("{key}: its counts do not add up"));
    }
}

async fn check_object(
    lake: &Lake,
    done: &Done,
    object: &PublishedObject,
    result: &mut Findings,
) -> Result<(), SinkFailure> {
    let proof = &object.proof;
    let Some(state) = lake.state(&proof.key).await? else {
        result.findings.push(format!("{}: missing", proof.key));
        return Ok(());
    };
    result.objects += 1;
    if state.bytes != proof.bytes {
        result.findings.push(format!("{}: {} bytes, the manifest says {}", proof.key, state.bytes, proof.bytes));
        return Ok(());
    }
    let found = lake.sha256(&proof.key).await?;
    if found != proof.sha256 {
        result.findings.push(format!("{}: its sha256 is {found}, the manifest says {}", proof.key, proof.sha256));
        return Ok(());
    }
    let Some(footer) = state.footer else {
        result.findings.push(format!("{}: not a Parquet file", proof.key));
        return Ok(());
    };
    if footer.rows != proof.rows {
        result.findings.push(format!("{}: {} rows, the manifest says {}", proof.key, footer.rows, proof.rows));
    }
    if footer.key_values.get("cxlake.sequence") != Some(&done.sequence.to_string()) {
        result.findings.push(format!("{}: its footer has another sequence than its manifest", proof.key));
    }
    Ok(())
}

fn overlaps(folder: &str, windows: &BTreeMap<String, WindowManifests>, result: &mut Findings) {
    let committed: Vec<&String> =
        windows.iter().filter(|(_, manifests)| manifests.newest_done.is_some()).map(|(window, _)| window).collect();
    for pair in committed.windows(2) {
        if overlap(pair[0], pair[1]) {
            result.findings.push(format!("{folder}: the windows {} and {} overlap", pair[0], pair[1]));
        }
    }
}

async fn strangers(
    lake: &Lake,
    folder: &str,
    expected: &BTreeSet<String>,
    result: &mut Findings,
) -> Result<(), SinkFailure> {
    for kind in [ObjectKind::Data, ObjectKind::Quarantine] {
        for (key, _) in lake.list(&format!("{folder}/{}", kind.folder())).await? {
            if !expected.contains(&key) {
                result.findings.push(format!("{key}: no manifest names it"));
            }
        }
    }
    for (key, _) in lake.list(&format!("{folder}/staging")).await? {
        if key.ends_with(".staged") {
            result.notes.push(format!("{key}: left by an interrupted run"));
        }
    }
    Ok(())
}
