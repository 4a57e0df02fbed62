//! Rejects for people: how many and why, and each as it was sent.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::Int64Type;
use chrono::NaiveDate;
use cxlake_sinks::lake::{ObjectKind, WindowCommit};
use cxlake_sinks::parquet::read_parquet;
use serde::Serialize;

use super::RunRequest;
use super::committed::{self, CommittedDays, CommittedWindow};
use super::preflight::Preflight;
use super::registry_review::read_or_newest;
use super::work_folder::WorkFolder;
use crate::columns::Violation;
use crate::settings::Settings;
use crate::vocabulary::{Failure, nearest_name};

/// Which rejects are meant.
#[derive(Clone, Debug)]
pub struct QuarantineRequest {
    /// Tenants and reports; its span is not used.
    pub selection: RunRequest,
    /// The days of the windows.
    pub days: CommittedDays,
    /// Only those whose first violation is of this rule.
    pub rule: Option<String>,
    /// Only those with a violation of this metric, by its id or any name that it ever had, or at
    /// this JSON Pointer.
    pub metric: Option<String>,
}

/// Rejects of one day by their first violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectCount {
    /// The tenant's name.
    pub tenant: String,
    /// The report's name.
    pub report: String,
    /// The partition `dt`.
    pub date: NaiveDate,
    /// The rule.
    pub rule: String,
    /// Where, as a JSON Pointer.
    pub path: String,
    /// The metric's display name, where it is one of the registry's.
    pub metric: Option<String>,
    /// How many.
    pub records: u64,
}

/// One reject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// The tenant's name.
    pub tenant: String,
    /// The report's name.
    pub report: String,
    /// The window's first instant.
    pub window_start: String,
    /// The first instant after it.
    pub window_end: String,
    /// Its place in the extract, from 0.
    pub source_offset: i64,
    /// Its key, where it has one.
    pub record_key: Option<String>,
    /// The first violation's rule.
    pub rule: String,
    /// The first violation's place.
    pub path: String,
    /// All violations.
    pub violations: Vec<Violation>,
    /// The registry version that rejected it.
    pub schema_version: i32,
    /// Its exact text.
    pub raw_record: Option<String>,
    /// Its exact bytes in hex, where they are not UTF-8.
    pub raw_bytes_hex: Option<String>,
}

/// Counts rejects by date, rule and place.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn count_rejects(settings: &Settings, request: &QuarantineRequest) -> Result<Vec<RejectCount>, Failure> {
    let mut counts: BTreeMap<(String, String, NaiveDate, String, String), u64> = BTreeMap::new();
    let names = MetricNames::read(settings, request).await?;
    let mut count = |found: &CommittedWindow<'_>, reject: Reject| {
        let date = found.address.date;
        *counts.entry((reject.tenant, reject.report, date, reject.rule, reject.path)).or_default() += 1;
        ControlFlow::Continue(())
    };
    each_reject(settings, request, &names, &mut count).await?;
    let listed = counts.into_iter().map(|((tenant, report, date, rule, path), records)| RejectCount {
        metric: names.display_name(&tenant, &path),
        tenant,
        report,
        date,
        rule,
        path,
        records,
    });
    Ok(listed.collect())
}

/// Passes rejects on, window by window in their order, until `take` has enough.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn read_rejects(
    settings: &Settings,
    request: &QuarantineRequest,
    take: &mut (dyn FnMut(Reject) -> ControlFlow<()> + Send),
) -> Result<(), Failure> {
    let names = MetricNames::read(settings, request).await?;
    each_reject(settings, request, &names, &mut |_, reject| take(reject)).await
}

async fn each_reject(
    settings: &Settings,
    request: &QuarantineRequest,
    names: &MetricNames,
    take: &mut (dyn FnMut(&CommittedWindow<'_>, Reject) -> ControlFlow<()> + Send),
) -> Result<(), Failure> {
    let preflight = Preflight::open_existing(settings).await?;
    let folder = WorkFolder::create()?;
    for found in committed::find(settings, &request.selection, request.days, &preflight.lake).await? {
        if found.history.settled().is_some_and(|done| done.quarantine.proof.rows == 0) {
            continue;
        }
        if found.history.settled().is_none() {
            let window = &found.address.window;
            tracing::warn!(
                window,
                "the window is being replaced, or a run of it was interrupted: this is what is there"
            );
        }
        let commit = WindowCommit { lake: &preflight.lake, address: &found.address };
        let object = commit.fetch(ObjectKind::Quarantine, folder.path()).await?;
        for batch in read_parquet(object.file.file.path(), None)? {
            let batch = batch?;
            let columns = Columns { batch: &batch };
            for row in 0..batch.num_rows() {
                let reject = columns.reject(&found, row);
                if request.is_meant(&reject, names) && take(&found, reject).is_break() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

impl QuarantineRequest {
    fn is_meant(&self, reject: &Reject, names: &MetricNames) -> bool {
        let of_rule = self.rule.as_ref().is_none_or(|rule| *rule == reject.rule);
        of_rule
            && self.metric.as_ref().is_none_or(|metric| {
                reject.violations.iter().any(|violation| names.is_of(&reject.tenant, &violation.path, metric))
            })
    }
}

struct Columns<'a> {
    batch: &'a RecordBatch,
}

impl Columns<'_> {
    fn text(&self, name: &str, row: usize) -> Option<String> {
        let column = self.batch.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    }

    fn reject(&self, found: &CommittedWindow<'_>, row: usize) -> Reject {
        let (window_start, window_end) = found.window.bounds();
        let number = |name: &str| self.batch.column_by_name(name);
        let offset = number("source_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let version =
            number("schema_version").and_then(|column| column.as_primitive_opt::<arrow::datatypes::Int32Type>());
        let bytes = number("raw_bytes").and_then(|column| column.as_binary_opt::<i32>());
        Reject {
            tenant: found.report.tenant.clone(),
            report: found.report.name.clone(),
            window_start,
            window_end,
            source_offset: offset.map_or(-1, |column| column.value(row)),
            record_key: self.text("record_key", row),
            rule: self.text("rule", row).unwrap_or_default(),
            path: self.text("path", row).unwrap_or_default(),
            violations: self
                .text("violations", row)
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default(),
            schema_version: version.map_or(0, |column| column.value(row)),
            raw_record: self.text("raw_record", row),
            raw_bytes_hex: bytes
                .filter(|column| column.is_valid(row))
                .map(|column| cxlake_sinks::parquet::hex(column.value(row))),
        }
    }
}

/// The names that metrics have and had, by tenant and id; of a standard key, none but itself.
struct MetricNames(BTreeMap<(String, String), Vec<String>>);

impl MetricNames {
    async fn read(settings: &Settings, request: &QuarantineRequest) -> Result<Self, Failure> {
        let preflight = Preflight::open_existing(settings).await?;
        let mut names = BTreeMap::new();
        for tenant in super::request::by_tenant(&request.selection.reports(settings)?).into_keys() {
            // Rejects can be read without a registry, only their names are not known then.
            let store = preflight.registry(settings, tenant)?;
            let Ok(registry) = read_or_newest(&store, None).await else { continue };
            for metric in registry.metrics {
                let mut known = vec![metric.display_name];
                known.extend(metric.earlier_names);
                names.insert((tenant.to_owned(), metric.id), known);
            }
            for column in registry.reports.into_values().flat_map(|report| report.columns) {
                names.entry((tenant.to_owned(), column.source)).or_default();
            }
        }
        let names = Self(names);
        if let Some(metric) = &request.metric {
            names.warn_of_unknown(metric);
        }
        Ok(names)
    }

    /// Where nothing has such a name there can be rejects all the same, of a key that no registry knows.
    fn warn_of_unknown(&self, metric: &str) {
        let names = || self.0.iter().flat_map(|((_, id), names)| names.iter().chain([id])).map(String::as_str);
        if !metric.starts_with('/') && !self.0.is_empty() && !names().any(|name| name == metric) {
            let hint = nearest_name(metric, names()).map(|name| format!("did you mean \"{name}\"?"));
            tracing::warn!(metric, hint, "the registry knows no metric of this name");
        }
    }

    fn names(&self, tenant: &str, path: &str) -> Option<&Vec<String>> {
        let id = path.strip_prefix("/customMetrics/")?;
        self.0.get(&(tenant.to_owned(), id.to_owned()))
    }

    fn display_name(&self, tenant: &str, path: &str) -> Option<String> {
        self.names(tenant, path)?.first().cloned()
    }

    fn is_of(&self, tenant: &str, path: &str, metric: &str) -> bool {
        path == metric
            || path.strip_prefix("/customMetrics/") == Some(metric)
            || path.strip_prefix('/') == Some(metric)
            || self.names(tenant, path).is_some_and(|names| names.iter().any(|name| name == metric))
    }
}
