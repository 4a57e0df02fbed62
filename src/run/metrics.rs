//! A run in numbers: as Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>)
//! for a textfile collector, and for whoever exports them otherwise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::run_report::{RunReport, StageMilliseconds};
use super::summary::WindowSummary;

/// Alerts are about its age, so a run that failed must not take it away.
const LAST_SUCCESS: &str = "cxlake_last_success_timestamp_seconds";
const LAST_LOAD_SUCCESS: &str = "cxlake_load_last_success_timestamp_seconds";

/// One metric of the last run: a gauge, for each run begins anew. Labels are bounded: tenants, reports,
/// outcomes, rules, stages; never metrics of the tenant or agents.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Its value, for each set of labels that there is.
    pub samples: Vec<(Labels, f64)>,
}

/// Names and values.
pub type Labels = Vec<(&'static str, String)>;

/// The metrics of a run that ended at `now`, in seconds since 1970.
pub fn metrics(report: &RunReport, now: u64) -> Vec<Metric> {
    let summary = &report.summary;
    let alone = |value| vec![(Labels::new(), value)];
    let api = summary.api;
    let mut metrics = vec![
        metric("cxlake_run_exit_code", "Exit code of the last run.", alone(f64::from(summary.exit_code))),
        metric("cxlake_run_end_timestamp_seconds", "When the last run ended.", alone(number(now))),
        metric("cxlake_rows", "Records of the last run by outcome.", rows(report)),
        metric(
            "cxlake_rejects",
            "Rejected records of the last run by the first rule that they broke.",
            rejects(report),
        ),
        metric("cxlake_windows", "Windows of the last run by status.", windows(report)),
        metric("cxlake_files", "Files of the last run's windows.", files(report, |window| window.files)),
        metric("cxlake_file_bytes", "Length of these files.", files(report, |window| window.bytes)),
        metric("cxlake_stage_seconds", "Time of the last run's stages, which run at the same time.", stages(report)),
        metric("cxlake_loads", "Loads of a window's day by the last run, by outcome.", loads(report)),
        metric("cxlake_drift_events", "Drift that the last run saw, by kind.", drift(report)),
        metric("cxlake_api_requests", "Requests of the last run.", alone(number(api.requests))),
        metric("cxlake_api_throttled", "Answers 429 of the last run.", alone(number(api.throttled))),
        metric("cxlake_api_retries", "Tries after the first of the last run.", alone(number(api.retries))),
    ];
    if report.summary.status.is_success() {
        metrics.push(metric(LAST_SUCCESS, "When a run last succeeded.", alone(number(now))));
    }
    metrics.retain(|metric| !metric.samples.is_empty());
    metrics
}

/// The metrics of `cxlake load`, under names of their own: both may be in one folder.
pub fn load_metrics(report: &RunReport, now: u64) -> Vec<Metric> {
    let alone = |value| vec![(Labels::new(), value)];
    let exit_code = f64::from(report.summary.exit_code);
    let mut metrics = vec![
        metric("cxlake_load_exit_code", "Exit code of the last load.", alone(exit_code)),
        metric("cxlake_load_end_timestamp_seconds", "When the last load ended.", alone(number(now))),
        metric("cxlake_load_windows", "Windows of the days of the last load, by outcome.", loads(report)),
    ];
    if report.summary.status.is_success() {
        metrics.push(metric(LAST_LOAD_SUCCESS, "When a load last succeeded.", alone(number(now))));
    }
    metrics.retain(|metric| !metric.samples.is_empty());
    metrics
}

/// Metrics as Prometheus text.
pub fn prometheus_text(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for Metric { name, help, samples } in metrics {
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _infallible = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

/// The value of a label, as the format wants it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// When one last succeeded, as the text before says it and these metrics do not: a run that failed
/// leaves it as it was.
pub fn last_success_of(before: &str, metrics: &[Metric]) -> Option<String> {
    let is_missing = |name: &str| !metrics.iter().any(|metric| metric.name == name);
    let is_kept = |line: &&str| {
        let mut words = line.split(' ').filter(|word| [LAST_SUCCESS, LAST_LOAD_SUCCESS].contains(word));
        words.next().is_some_and(is_missing)
    };
    let lines: Vec<&str> = before.lines().filter(is_kept).collect();
    (!lines.is_empty()).then(|| lines.join("\n") + "\n")
}

fn metric(name: &'static str, help: &'static str, samples: Vec<(Labels, f64)>) -> Metric {
    Metric { name, help, samples }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

fn summed(values: impl Iterator<Item = (Labels, u64)>) -> Vec<(Labels, u64)> {
    let mut sums: BTreeMap<Labels, u64> = BTreeMap::new();
    for (labels, value) in values {
        *sums.entry(labels).or_default() += value;
    }
    sums.into_iter().collect()
}

fn counted(values: impl Iterator<Item = (Labels, u64)>) -> Vec<(Labels, f64)> {
    summed(values).into_iter().map(|(labels, count)| (labels, number(count))).collect()
}

fn of_window(window: &WindowSummary, name: &'static str, value: &str) -> Labels {
    vec![("tenant", window.tenant.clone()), ("report", window.report.clone()), (name, value.to_owned())]
}

fn rows(report: &RunReport) -> Vec<(Labels, f64)> {
    counted(report.summary.windows.iter().flat_map(|window| {
        let rows = [
            ("accepted", window.rows.accepted),
            ("quarantined", window.rows.quarantined),
            ("duplicate", window.rows.duplicates),
        ];
        rows.into_iter().filter_map(move |(outcome, count)| Some((of_window(window, "outcome", outcome), count?)))
    }))
}

fn rejects(report: &RunReport) -> Vec<(Labels, f64)> {
    counted(report.summary.windows.iter().zip(&report.details).flat_map(|(window, details)| {
        details.rejects.iter().map(|rejects| (of_window(window, "rule", &rejects.rule), rejects.records))
    }))
}

fn windows(report: &RunReport) -> Vec<(Labels, f64)> {
    counted(report.summary.windows.iter().map(|window| {
        let status = window.status.name().replace(' ', "_");
        (of_window(window, "status", &status), 1)
    }))
}

fn files(report: &RunReport, value: impl Fn(&WindowSummary) -> Option<u64>) -> Vec<(Labels, f64)> {
    counted(report.summary.windows.iter().filter_map(|window| {
        let labels = vec![("tenant", window.tenant.clone()), ("report", window.report.clone())];
        Some((labels, value(window)?))
    }))
}

fn stages(report: &RunReport) -> Vec<(Labels, f64)> {
    let milliseconds = report.summary.windows.iter().zip(&report.details).flat_map(|(window, details)| {
        let StageMilliseconds {
            fetching,
            fetching_waits_for_typing,
            typing,
            typing_waits_for_pages,
            typing_waits_for_writing,
            writing,
            writing_waits_for_columns,
        } = details.stages.unwrap_or_default();
        let stages = [
            ("fetching", fetching),
            ("fetching_waits_for_typing", fetching_waits_for_typing),
            ("typing", typing),
            ("typing_waits_for_pages", typing_waits_for_pages),
            ("typing_waits_for_writing", typing_waits_for_writing),
            ("writing", writing),
            ("writing_waits_for_columns", writing_waits_for_columns),
        ];
        let is_read = details.stages.is_some();
        stages
            .into_iter()
            .filter(move |_| is_read)
            .map(|(stage, milliseconds)| (of_window(window, "stage", stage), milliseconds))
    });
    summed(milliseconds).into_iter().map(|(labels, sum)| (labels, number(sum) / 1000.0)).collect()
}

fn loads(report: &RunReport) -> Vec<(Labels, f64)> {
    counted(report.summary.windows.iter().flat_map(|window| {
        window.load.iter().flatten().map(|(warehouse, load)| {
            let mut labels = of_window(window, "warehouse", warehouse);
            labels.push(("outcome", load.status.name().to_owned()));
            (labels, 1)
        })
    }))
}

fn drift(report: &RunReport) -> Vec<(Labels, f64)> {
    counted(report.summary.drift.iter().map(|event| {
        let labels = vec![("tenant", event.tenant.clone()), ("kind", event.kind.name().to_owned())];
        (labels, 1)
    }))
}
