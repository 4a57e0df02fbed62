//! A report's objects against its manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use arrow::datatypes::{Schema, SchemaRef};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::layout::{ManifestName, ObjectKind, overlap, report_folder};
use super::manifest::{Done, PublishedObject};
use super::store::{Lake, READS_AT_ONCE};
use crate::failure::SinkFailure;
use crate::parquet::FooterSummary;

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
    /// The objects that the newest manifests name.
    pub keys: Vec<String>,
}

impl Findings {
    /// Adds what another look found.
    pub fn add(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.notes.extend(other.notes);
        self.keys.extend(other.keys);
        self.windows += other.windows;
        self.objects += other.objects;
        self.rows += other.rows;
    }
}

/// How closely a report is looked at.
#[derive(Clone, Debug, Default)]
pub struct Scrutiny {
    /// Of how many windows the objects are read whole; of all, where it is `None`. Of the others they
    /// are looked at: presence, length, and what their footers say.
    pub sample: Option<Sample>,
    /// The columns that objects must have; not looked at, where it is `None`.
    pub schemas: Option<ExpectedSchemas>,
}

/// A choice of windows that is another for another seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// How many windows.
    pub windows: usize,
    /// What decides which.
    pub seed: u64,
}

/// The columns of a report's objects.
#[derive(Clone, Debug)]
pub struct ExpectedSchemas {
    /// Of accepted rows, by registry version.
    pub data: BTreeMap<u32, SchemaRef>,
    /// Of rejected records.
    pub quarantine: SchemaRef,
}

#[derive(Debug, Default)]
struct WindowManifests {
    newest_plan: u32,
    newest_done: Option<(u32, String)>,
    older: u64,
}

/// Reads a report: each object's presence, length, hash, rows and columns against its manifest,
/// strangers, open plans, windows that overlap. What was found before a failure stands in `result`.
///
/// # Errors
/// Where the store fails.
pub async fn verify_report(
    lake: &Lake,
    tenant: &str,
    report: &str,
    scrutiny: &Scrutiny,
    result: &mut Findings,
) -> Result<(), SinkFailure> {
    let folder = report_folder(tenant, report);
    let windows = manifests(lake, &folder, result).await?;
    let mut expected = BTreeSet::new();
    let mut open_plans = Vec::new();
    let read_whole = sampled(windows.keys(), scrutiny.sample);
    let mut newest = Vec::new();
    for (window, manifests) in &windows {
        result.windows += 1;
        let done_sequence = manifests.newest_done.as_ref().map_or(0, |(sequence, _)| *sequence);
        if manifests.newest_plan > done_sequence {
            open_plans.push((window, manifests.newest_plan));
        }
        if manifests.older > 0 {
            result.notes.push(format!("{folder}: the window {window} has {} older manifests", manifests.older));
        }
        newest.extend(manifests.newest_done.as_ref().map(|done| (window, done.clone())));
    }
    let checks = newest
        .into_iter()
        .map(|(window, done)| check_newest(lake, window, done, scrutiny, read_whole.contains(window)));
    let mut checks = stream::iter(checks).buffered(READS_AT_ONCE);
    while let Some(found) = checks.try_next().await? {
        result.findings.extend(found.findings);
        result.objects += found.objects;
        result.rows += found.rows;
        expected.extend(found.keys);
    }
    overlaps(&folder, &windows, result);
    let unnamed = unnamed_objects(lake, &folder, &expected).await?;
    // What runs that were on their way have committed since is no finding.
    let now = match open_plans.is_empty() && unnamed.is_empty() {
        true => BTreeMap::new(),
        false => manifests(lake, &folder, &mut Findings::default()).await?,
    };
    let done =
        |window: &str| now.get(window).and_then(|manifests| manifests.newest_done.as_ref()).map_or(0, |done| done.0);
    for (window, plan) in open_plans.into_iter().filter(|(window, plan)| done(window) < *plan) {
        result.findings.push(format!(
            "{folder}: the window {window} has the open plan {plan}: a run was interrupted; run the window again"
        ));
    }
    for key in unnamed {
        let window = key.rsplit('/').next().and_then(|name| name.strip_suffix(".parquet")).unwrap_or_default();
        let before = windows.get(window).and_then(|manifests| manifests.newest_done.as_ref()).map_or(0, |done| done.0);
        if done(window) <= before {
            result.findings.push(format!("{key}: no manifest names it"));
        }
    }
    staged(lake, &folder, result).await
}

/// A window as its newest done says. A run that has replaced it meanwhile is no finding.
async fn check_newest(
    lake: &Lake,
    window: &str,
    (mut sequence, mut key): (u32, String),
    scrutiny: &Scrutiny,
    is_read: bool,
) -> Result<Findings, SinkFailure> {
    loop {
        let mut found = Findings::default();
        check_window(lake, &key, scrutiny, is_read, &mut found).await?;
        if found.findings.is_empty() {
            return Ok(found);
        }
        match newer_done(lake, window, &key, sequence).await? {
            Some(newer) => (sequence, key) = newer,
            None => return Ok(found),
        }
    }
}

/// The counts of a done, and its objects.
async fn check_window(
    lake: &Lake,
    key: &str,
    scrutiny: &Scrutiny,
    is_read: bool,
    result: &mut Findings,
) -> Result<(), SinkFailure> {
    let content = lake.get(key).await?.unwrap_or_default();
    let Ok(done) = serde_json::from_slice::<Done>(&content) else {
        result.findings.push(format!("{key}: not a manifest of cxlake"));
        return Ok(());
    };
    check_counts(key, &done, result);
    for (kind, object) in [(ObjectKind::Data, &done.data), (ObjectKind::Quarantine, &done.quarantine)] {
        result.keys.push(object.proof.key.clone());
        ObjectCheck { lake, done: &done, kind, object, scrutiny, is_read }.run(result).await?;
    }
    result.rows += done.rows.accepted;
    Ok(())
}

/// A done of a window that is newer than the one with this key and number.
async fn newer_done(lake: &Lake, window: &str, key: &str, sequence: u32) -> Result<Option<(u32, String)>, SinkFailure> {
    let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let listed = lake.list(folder).await?;
    let done = |(key, _): (String, u64)| {
        let name = ManifestName::parse(key.rsplit('/').next()?)?;
        (name.is_done && name.window == window && name.sequence > sequence).then_some((name.sequence, key))
    };
    Ok(listed.into_iter().filter_map(done).max())
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

/// The windows whose objects are read whole.
fn sampled<'a>(windows: impl Iterator<Item = &'a String>, sample: Option<Sample>) -> BTreeSet<&'a String> {
    let Some(sample) = sample else { return windows.collect() };
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let mut drawn: Vec<&String> = windows.collect();
    drawn.sort_by_key(|window| hasher.hash_one((sample.seed, window)));
    drawn.into_iter().take(sample.windows).collect()
}

struct ObjectCheck<'a> {
    lake: &'a Lake,
    done: &'a Done,
    kind: ObjectKind,
    object: &'a PublishedObject,
    scrutiny: &'a Scrutiny,
    is_read: bool,
}

impl ObjectCheck<'_> {
    async fn run(&self, result: &mut Findings) -> Result<(), SinkFailure> {
        let proof = &self.object.proof;
        let finding = match self.lake.state(&proof.key).await? {
            None => Some("missing".to_owned()),
            Some(state) if state.bytes != proof.bytes => {
                Some(format!("{} bytes, the manifest says {}", state.bytes, proof.bytes))
            }
            Some(state) => match self.differs(result).await? {
                Some(finding) => Some(finding),
                None => self.footer(state.footer),
            },
        };
        result.findings.extend(finding.map(|finding| format!("{}: {finding}", proof.key)));
        Ok(())
    }

    /// Reads it whole, if that is wanted.
    async fn differs(&self, result: &mut Findings) -> Result<Option<String>, SinkFailure> {
        if !self.is_read {
            return Ok(None);
        }
        result.objects += 1;
        let proof = &self.object.proof;
        let found = self.lake.sha256(&proof.key).await?;
        Ok((found != proof.sha256).then(|| format!("its sha256 is {found}, the manifest says {}", proof.sha256)))
    }

    fn footer(&self, footer: Option<FooterSummary>) -> Option<String> {
        let Some(footer) = footer else { return Some("not a Parquet file".to_owned()) };
        let proof = &self.object.proof;
        if footer.rows != proof.rows {
            return Some(format!("{} rows, the manifest says {}", footer.rows, proof.rows));
        }
        if footer.key_values.get("cxlake.sequence") != Some(&self.done.sequence.to_string()) {
            return Some("its footer has another sequence than its manifest".to_owned());
        }
        let schemas = self.scrutiny.schemas.as_ref()?;
        let version = self.done.registry_version;
        let expected = match self.kind {
            ObjectKind::Quarantine => &schemas.quarantine,
            ObjectKind::Data => match schemas.data.get(&version) {
                Some(expected) => expected,
                None => return Some(format!("version {version} of the registry, whose columns it has, is missing")),
            },
        };
        let found = footer.schema.map_or_else(String::new, |schema| columns(&schema));
        let expected = columns(expected);
        (found != expected)
            .then(|| format!("its columns are {found}; version {version} of the registry says {expected}"))
    }
}

fn columns(schema: &Schema) -> String {
    let column = |field: &std::sync::Arc<arrow::datatypes::Field>| format!("{} {}", field.name(), field.data_type());
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
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

/// The objects that no done names which was looked at.
async fn unnamed_objects(lake: &Lake, folder: &str, expected: &BTreeSet<String>) -> Result<Vec<String>, SinkFailure> {
    let mut unnamed = Vec::new();
    for kind in [ObjectKind::Data, ObjectKind::Quarantine] {
        let listed = lake.list(&format!("{folder}/{}", kind.folder())).await?;
        unnamed.extend(listed.into_iter().map(|(key, _)| key).filter(|key| !expected.contains(key)));
    }
    Ok(unnamed)
}

async fn staged(lake: &Lake, folder: &str, result: &mut Findings) -> Result<(), SinkFailure> {
    for (key, _) in lake.list(&format!("{folder}/staging")).await? {
        if key.ends_with(".staged") {
            result.notes.push(format!("{key}: left by an interrupted run"));
        }
    }
    Ok(())
}
