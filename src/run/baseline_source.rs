//! Where a baseline's totals come from: a file that the tenant's own report was exported to, or a
//! second request that groups by anything but the key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use super::baseline::{add, metric_of};
use crate::cxone::ReportReader;
use crate::extraction::{Delivery, Interruption, PagingLimits, deliver};
use crate::registry::ReportColumns;
use crate::settings::{Baseline, WindowLength};
use crate::vocabulary::{Clock, Failure, FailureKind, Page, Stopwatch};
use crate::window::Window;

/// Pages of totals that wait to be added up.
const WAITING_PAGES: usize = 2;

/// Totals of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    /// How many records.
    pub(super) records: Option<f64>,
    /// Sums by the baseline's names of metrics.
    pub(super) sums: BTreeMap<String, f64>,
}

/// A file of totals: its rows, each a text by its column.
#[derive(Clone, Debug)]
pub(super) struct BaselineFile {
    path: String,
    rows: Vec<BTreeMap<String, String>>,
}

impl BaselineFile {
    /// Reads a CSV or a JSON file.
    pub(super) fn read(path: &str) -> Result<Self, Failure> {
        let refused = |reason: String| {
            Failure::configuration(format!("read the baseline {path}: {reason}"))
                .hint("CSV with a header line, or JSON: a list of objects")
        };
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let text = text.trim_start_matches('\u{feff}');
        let is_json = Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let rows = if is_json { json_rows(text) } else { csv_rows(text) };
        Ok(Self { path: path.to_owned(), rows: rows.map_err(refused)? })
    }

    /// Every column that the settings name must be there, and of one metric: a typo must not make a
    /// gate that lets everything through.
    pub(super) fn check(&self, settings: &Baseline, columns: &ReportColumns) -> Result<(), Failure> {
        let refused = |reason: String| {
            Err(Failure::configuration(format!("read the baseline {}: {reason}", self.path))
                .hint("see date_column, records_column and columns of the report's baseline"))
        };
        let has = |name: &str| self.rows.iter().any(|row| value_of(row, name).is_some());
        let named = [&settings.date_column].into_iter().chain(settings.columns.keys());
        let records = (settings.records_column != Baseline::RECORDS_COLUMN).then_some(&settings.records_column);
        if let Some(missing) = named.chain(records).find(|name| !self.rows.is_empty() && !has(name)) {
            return refused(format!("it has no column \"{missing}\""));
        }
        let mut used: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, metric) in &settings.columns {
            let Some(column) = metric_of(columns, metric)? else {
                return refused(format!("\"{metric}\" is no metric of numbers that the report asks for"));
            };
            if let Some(other) = used.insert(&column.name, name) {
                return refused(format!("both \"{other}\" and \"{name}\" are columns of {metric}"));
            }
        }
        Ok(())
    }

    /// The totals of a window: rows that say its first instant or, where it is a whole day, its day.
    pub(super) fn totals(
        &self,
        window: &Window,
        length: WindowLength,
        settings: &Baseline,
        columns: &ReportColumns,
    ) -> Result<Totals, Failure> {
        let mut totals = Totals::default();
        let day = window.date.to_string();
        let is_meant = |row: &&BTreeMap<String, String>| {
            let Some(date) = value_of(row, &settings.date_column) else { return false };
            match chrono::DateTime::parse_from_rfc3339(date) {
                Ok(instant) => instant == window.start,
                Err(_) => length == WindowLength::Day && date.trim() == day,
            }
        };
        for row in self.rows.iter().filter(is_meant) {
            for (name, text) in row.iter().filter(|(_, text)| !text.trim().is_empty()) {
                let is_records = name.eq_ignore_ascii_case(&settings.records_column);
                let metric = settings.columns.get(name).unwrap_or(name);
                if !is_records && metric_of(columns, metric)?.is_none() {
                    continue;
                }
                let Some(value) = grouped_number(text) else {
                    return Err(Failure::new(
                        FailureKind::Quality,
                        format!("read the baseline {}: \"{name}\" is {text:?}, which is no number", self.path),
                    )
                    .hint("numbers are like 1234.5 or 1,234.5"));
                };
                if is_records {
                    *totals.records.get_or_insert_default() += value;
                } else {
                    add(&mut totals.sums, metric, value);
                }
            }
        }
        Ok(totals)
    }
}

fn value_of<'a>(row: &'a BTreeMap<String, String>, column: &str) -> Option<&'a str> {
    row.iter().find(|(name, _)| name.eq_ignore_ascii_case(column)).map(|(_, value)| value.as_str())
}

fn csv_rows(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> =
        reader.headers().map_err(|error| error.to_string())?.iter().map(|name| name.trim().to_owned()).collect();
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.map_err(|error| error.to_string())?;
        Ok(names.iter().cloned().zip(record.iter().map(str::to_owned)).collect())
    };
    reader.records().map(row).collect()
}

fn json_rows(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let objects: Vec<BTreeMap<String, Value>> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(objects.into_iter().map(|row| row.into_iter().map(|(name, value)| (name, text(value))).collect()).collect())
}

/// A number, also one whose thousands are grouped by commas: `1,234.5`.
fn grouped_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, fraction)| (whole, Some(fraction)));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let mut groups = digits.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = digits.contains(',')
        && (1..=3).contains(&first.len())
        && groups.all(|group| group.len() == 3 && group.bytes().all(|byte| byte.is_ascii_digit()));
    if digits.contains(',') && !is_grouped {
        return None;
    }
    let plain = whole.replace(',', "");
    fraction
        .map_or_else(|| plain.clone(), |fraction| format!("{plain}.{fraction}"))
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())
}

/// Asks the tenant for the window's totals and adds up all rows of the answer.
pub(super) async fn aggregate(
    reader: ReportReader,
    paging: PagingLimits,
    clock: Arc<dyn Clock>,
) -> Result<Totals, Failure> {
    let (sender, mut pages) = tokio::sync::mpsc::channel(WAITING_PAGES);
    let adding = async {
        let mut totals = Totals::default();
        while let Some(delivery) = pages.recv().await {
            if let Delivery::Page(page) = delivery {
                add_page(&mut totals, &page);
            }
        }
        totals
    };
    let (delivered, totals) = tokio::join!(deliver(Arc::new(reader), paging, sender, Stopwatch::start(clock)), adding);
    match delivered {
        Ok(_) => Ok(totals),
        Err(Interruption::Failed(failure)) => Err(failure),
        Err(Interruption::Unstable(reason)) => {
            Err(Failure::incomplete(format!("read the window's totals: {reason}")).hint("run it again later"))
        }
        Err(Interruption::Closed) => Err(Failure::defect("add up the window's totals: nobody takes them")),
    }
}

fn add_page(totals: &mut Totals, page: &Page) {
    for record in page.record_bytes() {
        let Ok(fields) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(record) else { continue };
        for (name, value) in fields {
            if name == "customMetrics" {
                let metrics = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).unwrap_or_default();
                for (id, value) in metrics {
                    add_value(totals, &id, value);
                }
            } else {
                add_value(totals, &name, value);
            }
        }
    }
}

fn add_value(totals: &mut Totals, name: &str, value: &RawValue) {
    if let Some(value) = value.get().parse().ok().filter(|value: &f64| value.is_finite()) {
        add(&mut totals.sums, name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_reports_write_them() {
        let cases = [("12", Some(12.0)), (" 1,234.5 ", Some(1234.5)), ("-1,000,000", Some(-1e6)), ("1,2", None)];
        for (text, expected) in cases.into_iter().chain([
            ("n/a", None),
            ("inf", None),
            ("1e999", None),
            ("12,345", Some(12345.0)),
            ("0.25", Some(0.25)),
        ]) {
            assert_eq!(grouped_number(text), expected, "{text}");
        }
    }

    #[test]
    fn csv_and_json_are_the_same_rows() {
        let csv = csv_rows("Date,Talk Time\n2024-01-01,\"1,200\"\n").unwrap();
        let json = json_rows(r#"[{"Date": "2024-01-01", "Talk Time": "1,200"}]"#).unwrap();
        assert_eq!(csv, json);
    }
}
