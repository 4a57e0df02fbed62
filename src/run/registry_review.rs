//! The registry for people: its versions, what changed between them, and its audit trail.

use cxlake_sinks::lake::{ObjectKind, report_folder};
use cxlake_sinks::parquet::ColumnRange;
use serde::Serialize;

use super::preflight::{Preflight, prepare};
use super::registry_store::RegistryStore;
use super::{Environment, RecordedEvent, RunRequest, drift, request};
use crate::registry::{AddedColumn, ConstraintChange, MetricDifference, MetricStatus, RegistryVersion, difference};
use crate::settings::Settings;
use crate::vocabulary::{AllowedValue, DriftEvent, ExactNumber, Failure};

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedVersion {
    /// The tenant's name.
    pub tenant: String,
    /// The version's number.
    pub version: u32,
    /// When it was made.
    pub created_at: String,
    /// Metrics that can be asked for.
    pub published: usize,
    /// Metrics that no longer can.
    pub retired: usize,
    /// Why it was made.
    pub reason: String,
}

/// An entry of the audit trail: a version that was made, or an event that was seen.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "entry")]
pub enum LogEntry {
    /// A version.
    Version(ListedVersion),
    /// An event.
    Event(RecordedEvent),
}

/// What `sync` found for a tenant.
#[derive(Clone, Debug)]
pub struct Synced {
    /// The tenant's name.
    pub tenant: String,
    /// The registry as it is now.
    pub registry: RegistryVersion,
    /// Whether this made the version.
    pub is_new: bool,
    /// What changed at the tenant.
    pub drift: Vec<DriftEvent>,
}

/// Two versions beside each other.
#[derive(Clone, Debug)]
pub struct ReviewedDifference {
    /// The metrics that differ.
    pub metrics: Vec<ReviewedMetric>,
    /// Columns that files of the newer version have beside those of the older one.
    pub columns: Vec<AddedColumn>,
}

/// A metric that differs, and what its stored values say of its new rules.
#[derive(Clone, Debug)]
pub struct ReviewedMetric {
    /// What differs.
    pub difference: MetricDifference,
    /// What column statistics say of each rule that was narrowed.
    pub stored: Vec<String>,
}

impl LogEntry {
    fn at(&self) -> &str {
        match self {
            Self::Version(version) => &version.created_at,
            Self::Event(event) => &event.at,
        }
    }
}

/// All versions of the tenants' registries, oldest first.
///
/// # Errors
/// Where a registry cannot be read.
pub async fn list_versions(settings: &Settings, request: &RunRequest) -> Result<Vec<ListedVersion>, Failure> {
    let preflight = Preflight::open_to_read(settings)?;
    let mut listed = Vec::new();
    for tenant in tenants(settings, request)? {
        let store = preflight.registry(settings, tenant)?;
        for number in store.versions().await? {
            let version = store.read(number).await?;
            let count = |status| version.metrics.iter().filter(|metric| metric.status == status).count();
            listed.push(ListedVersion {
                tenant: tenant.to_owned(),
                version: number,
                published: count(MetricStatus::Published),
                retired: count(MetricStatus::Retired),
                created_at: version.created_at,
                reason: version.reason,
            });
        }
    }
    Ok(listed)
}

/// One version of a tenant's registry; the newest where no number is given.
///
/// # Errors
/// For a version that is not there, and where several tenants could be meant.
pub async fn show_version(
    settings: &Settings,
    request: &RunRequest,
    number: Option<u32>,
) -> Result<RegistryVersion, Failure> {
    let preflight = Preflight::open_to_read(settings)?;
    let store = preflight.registry(settings, one_tenant(settings, request)?)?;
    read_or_newest(&store, number).await
}

pub(super) async fn read_or_newest(store: &RegistryStore, number: Option<u32>) -> Result<RegistryVersion, Failure> {
    // A number that is there, or the words for one that is not.
    let number = match number {
        Some(number) => number,
        None => store.versions().await?.last().copied().unwrap_or(1),
    };
    store.read(number).await
}

/// What changed from one version to another, and whether stored values break the newer rules.
///
/// # Errors
/// For a version that is not there, and where the lake cannot be read.
pub async fn compare_versions(
    settings: &Settings,
    request: &RunRequest,
    (older, newer): (u32, u32),
) -> Result<ReviewedDifference, Failure> {
    let preflight = Preflight::open_to_read(settings)?;
    let tenant = one_tenant(settings, request)?;
    let store = preflight.registry(settings, tenant)?;
    let (older, newer) = (store.read(older).await?, store.read(newer).await?);
    let (differences, columns) = difference(&older, &newer);
    let mut metrics = Vec::new();
    for difference in differences {
        let stored = stored_values(&preflight, tenant, &newer, &difference).await?;
        metrics.push(ReviewedMetric { difference, stored });
    }
    Ok(ReviewedDifference { metrics, columns })
}

/// Compares the tenants' catalogs with their registries, and writes a version where they differ: a
/// run's first step alone. It accepts drift whatever the reports' policies say.
///
/// # Errors
/// As a run before its first window.
pub async fn sync(
    settings: &Settings,
    request: &RunRequest,
    environment: &Environment,
    dry_run: bool,
) -> Result<Vec<Synced>, Failure> {
    let reports = request.reports(settings)?;
    settings.need_secrets_of(&reports)?;
    let preflight = if dry_run { Preflight::open_to_read(settings)? } else { Preflight::open(settings)? };
    let mut synced = Vec::new();
    for (tenant, reports) in request::by_tenant(&reports) {
        let client = preflight.client(settings, tenant, environment)?;
        let ready = prepare(&preflight, &client, settings, &reports, environment).await?;
        let ready = match dry_run {
            true => ready,
            false => drift::accept(settings, ready, &preflight.lake, environment).await?,
        };
        let is_new = ready.registry_is_new;
        synced.push(Synced { tenant: tenant.to_owned(), registry: ready.registry, is_new, drift: ready.drift });
    }
    Ok(synced)
}

/// The audit trail: versions and events in the order of time.
///
/// # Errors
/// Where a registry cannot be read.
pub async fn log(settings: &Settings, request: &RunRequest) -> Result<Vec<LogEntry>, Failure> {
    let versions = list_versions(settings, request).await?;
    let preflight = Preflight::open_to_read(settings)?;
    let mut entries: Vec<LogEntry> = versions.into_iter().map(LogEntry::Version).collect();
    for tenant in tenants(settings, request)? {
        let events = preflight.registry(settings, tenant)?.events().await?;
        entries.extend(events.into_iter().map(LogEntry::Event));
    }
    // Texts of one form in UTC: their order is that of time.
    entries.sort_by(|left, right| left.at().cmp(right.at()));
    Ok(entries)
}

fn tenants<'a>(settings: &'a Settings, request: &RunRequest) -> Result<Vec<&'a str>, Failure> {
    Ok(request::by_tenant(&request.reports(settings)?).into_keys().collect())
}

fn one_tenant<'a>(settings: &'a Settings, request: &RunRequest) -> Result<&'a str, Failure> {
    match tenants(settings, request)?.as_slice() {
        [tenant] => Ok(tenant),
        several => Err(Failure::configuration("choose a registry: each tenant has one")
            .hint(format!("pass --tenant with one of: {}", several.join(", ")))),
    }
}

/// What the statistics of committed files say of the rules that were narrowed.
async fn stored_values(
    preflight: &Preflight,
    tenant: &str,
    newer: &RegistryVersion,
    difference: &MetricDifference,
) -> Result<Vec<String>, Failure> {
    let narrowed: Vec<&ConstraintChange> =
        difference.rules.iter().filter(|change| change.direction.may_reject_stored()).collect();
    let Some(column) = difference.column.as_ref().filter(|_| !narrowed.is_empty()) else { return Ok(Vec::new()) };
    let (mut files, mut ranges) = (0_usize, Vec::new());
    let has_column = |report: &&String| newer.reports[*report].columns.iter().any(|known| known.name == column.name);
    for report in newer.reports.keys().filter(has_column) {
        let folder = format!("{}/{}", report_folder(tenant, report), ObjectKind::Data.folder());
        for (key, bytes) in preflight.lake.list(&folder).await? {
            files += 1;
            ranges.push(preflight.lake.column_ranges(&key, bytes, &column.name).await?);
        }
    }
    let constraints = &difference.newer.constraints;
    let told = narrowed.into_iter().map(|change| {
        let verdicts: Vec<Stored> = ranges
            .iter()
            .map(|file| match file {
                // Ranges say nothing of other rules, nor of rows without a value.
                _ if !matches!(change.rule, "minimum" | "maximum" | "allowedValues") => Stored::Unknown,
                None => Stored::Unknown,
                Some(ranges) => ranges
                    .iter()
                    .map(|range| match change.rule {
                        "minimum" => beyond(constraints.minimum.as_ref(), range, |bound, least, _| least < bound),
                        "maximum" => beyond(constraints.maximum.as_ref(), range, |bound, _, most| most > bound),
                        "allowedValues" => allowed(constraints.allowed_values.as_deref(), range),
                        _ => Stored::Unknown,
                    })
                    .fold(Stored::Keeps, Stored::max),
            })
            .collect();
        let count = |stored| verdicts.iter().filter(|verdict| **verdict == stored).count();
        match (count(Stored::Breaks), count(Stored::Unknown)) {
            (0, 0) => format!("{}: no value of {files} files breaks it", change.rule),
            (0, unknown) => format!("{}: the statistics of {unknown} of {files} files cannot tell", change.rule),
            (breaks, _) => format!("{}: {breaks} of {files} files hold values that break it", change.rule),
        }
    });
    Ok(told.collect())
}

/// What is known of stored values and a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stored {
    Keeps,
    Unknown,
    Breaks,
}

fn beyond(
    bound: Option<&ExactNumber>,
    range: &ColumnRange,
    breaks: impl Fn(&ExactNumber, &ExactNumber, &ExactNumber) -> bool,
) -> Stored {
    let Some(bound) = bound else { return Stored::Keeps };
    match (ExactNumber::parse(&range.least), ExactNumber::parse(&range.greatest)) {
        (Some(least), Some(greatest)) if breaks(bound, &least, &greatest) => Stored::Breaks,
        (Some(_), Some(_)) => Stored::Keeps,
        _ => Stored::Unknown,
    }
}

/// The least and the greatest value are stored ones; what lies between them nobody knows.
fn allowed(allowed: Option<&[AllowedValue]>, range: &ColumnRange) -> Stored {
    let Some(allowed) = allowed else { return Stored::Keeps };
    let is_allowed = |text: &str| {
        allowed.iter().any(|value| match value {
            AllowedValue::Text(known) => known == text,
            AllowedValue::Number(known) => ExactNumber::parse(text).is_some_and(|number| number == *known),
            AllowedValue::Boolean(known) => known.to_string() == text,
            AllowedValue::Other(_) => false,
        })
    };
    match (is_allowed(&range.least) && is_allowed(&range.greatest), range.exact) {
        (_, false) => Stored::Unknown,
        (false, true) => Stored::Breaks,
        (true, true) if range.least == range.greatest => Stored::Keeps,
        (true, true) => Stored::Unknown,
    }
}
