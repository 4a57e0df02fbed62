//! A run's summary as Prometheus text (<https://prometheus.io/docs/instrumenting/exposition_formats/>),
//! for a textfile collector. Labels are bounded: tenants, reports, outcomes, never metrics or agents.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::summary::Summary;

/// One family of metrics and its samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    samples: Vec<(String, u64)>,
}

/// The text of a run that ended at `now`, in seconds since 1970.
pub fn prometheus_text(summary: &Summary, now: u64) -> String {
    let alone = |value| vec![(String::new(), value)];
    let mut families = vec![
        family("cxlake_run_exit_code", "gauge", "Exit code of the last run.", alone(summary.exit_code.into())),
        family("cxlake_run_end_timestamp_seconds", "gauge", "When the last run ended.", alone(now)),
        family("cxlake_rows", "gauge", "Records of the last run by outcome.", rows(summary)),
        family("cxlake_windows", "gauge", "Windows of the last run by status.", windows(summary)),
        family("cxlake_drift_events", "gauge", "Drift that the last run saw, by kind.", drift(summary)),
        family("cxlake_api_requests", "gauge", "Requests of the last run.", alone(summary.api.requests)),
        family("cxlake_api_throttled", "gauge", "Answers 429 of the last run.", alone(summary.api.throttled)),
        family("cxlake_api_retries", "gauge", "Tries after the first of the last run.", alone(summary.api.retries)),
    ];
    if summary.exit_code == 0 {
        let name = "cxlake_last_success_timestamp_seconds";
        families.push(family(name, "gauge", "When a run last succeeded.", alone(now)));
    }
    let mut text = String::new();
    for Family { name, kind, help, samples } in families {
        let _infallible = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _infallible = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

fn family(name: &'static str, kind: &'static str, help: &'static str, samples: Vec<(String, u64)>) -> Family {
    Family { name, kind, help, samples }
}

fn counted(keys: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (labels, value) in keys {
        *counts.entry(labels).or_default() += value;
    }
    counts.into_iter().collect()
}

fn rows(summary: &Summary) -> Vec<(String, u64)> {
    counted(summary.windows.iter().flat_map(|window| {
        let rows = [
            ("accepted", window.rows.accepted),
            ("quarantined", window.rows.quarantined),
            ("duplicate", window.rows.duplicates),
        ];
        rows.into_iter().filter_map(move |(outcome, count)| {
            let labels = format!("{{tenant=\"{}\",report=\"{}\",outcome=\"{outcome}\"}}", window.tenant, window.report);
            Some((labels, count?))
        })
    }))
}

fn windows(summary: &Summary) -> Vec<(String, u64)> {
    counted(summary.windows.iter().map(|window| {
        let status = window.status.name().replace(' ', "_");
        (format!("{{tenant=\"{}\",report=\"{}\",status=\"{status}\"}}", window.tenant, window.report), 1)
    }))
}

fn drift(summary: &Summary) -> Vec<(String, u64)> {
    counted(
        summary
            .drift
            .iter()
            .map(|event| (format!("{{tenant=\"{}\",kind=\"{}\"}}", event.tenant, event.kind.name()), 1)),
    )
}
