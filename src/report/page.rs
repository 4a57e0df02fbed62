//! The page of a lake's runs: one HTML file that needs no other, light and dark, for a phone too.
//! Texts of tenants are escaped by `maud`, every one.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::charts::{Bar, bars};
use super::laid_out;
use crate::run::summary::{RunStatus, WindowStatus, WindowSummary};
use crate::run::{
    HourCounts, LakeReport, RecordedEvent, Reject, RejectCount, ReportedWindow, RunReport, StageMilliseconds,
};

const STYLE: &str = include_str!("page.css");

/// The page of some days. `masks` are JSON Pointers of fields that are not shown.
pub fn lake_page(title: &str, report: &LakeReport, masks: &[String]) -> String {
    page(
        title,
        &html! {
            (totals(report))
            section { h2 { "Rows by day" } (rows_by_day(report)) }
            @if let Some(hours) = &report.hours {
                section { h2 { "Rows by hour of the tenant's day" } (rows_by_hour(hours)) }
            }
            section {
                h2 { "Runs" } (runs(&report.runs))
                @if report.runs_not_looked_at > 0 {
                    p .none { "The newest ones; " (count(report.runs_not_looked_at as u64)) " older ones are in the lake." }
                }
            }
            section { h2 { "Where the time went" } (stages(&report.runs)) }
            section { h2 { "Reconciliation by window" } (windows(report)) }
            section { h2 { "Rejects" } (rejects(&report.rejects)) (examples(&report.examples, masks)) }
            section { h2 { "Drift" } (drift(&report.drift)) }
        },
    )
}

/// The page of one run, from what it knows of itself.
pub fn run_page(run: &RunReport) -> String {
    let summary = &run.summary;
    let drift = summary.drift.iter().map(|event| RecordedEvent {
        format: String::new(),
        at: run.ended_at.clone(),
        run_id: summary.run_id.clone(),
        frozen: summary.exit_code == 4,
        event: event.clone(),
    });
    page(
        &format!("cxlake run {}", summary.run_id),
        &html! {
            section { h2 { "Run" } (runs(std::slice::from_ref(run))) }
            section { h2 { "Reconciliation by window" } (run_windows(run)) }
            section { h2 { "Where the time went" } (stages(std::slice::from_ref(run))) }
            section { h2 { "Rejects" } (run_rejects(run)) }
            section { h2 { "Drift" } (self::drift(&drift.collect::<Vec<_>>())) }
        },
    )
}

fn page(title: &str, content: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { h1 { (title) } }
                main { (content) }
                footer { "cxlake " (env!("CARGO_PKG_VERSION")) }
            }
        }
    }
    .into_string()
}

/// A table with its head, which scrolls by itself on a narrow screen.
fn table(head: &[&str], rows: &[Vec<Markup>]) -> Markup {
    html! {
        @if rows.is_empty() { p .none { "None." } } @else {
            div .scroll { table {
                thead { tr { @for name in head { th { (name) } } } }
                tbody { @for row in rows { tr { @for cell in row { td { (cell) } } } } }
            } }
        }
    }
}

fn text(text: impl ToString) -> Markup {
    html! { (text.to_string()) }
}

/// A text of several lines.
fn long(text: &str) -> Markup {
    html! { span .long { (text) } }
}

/// A count with its thousands set apart.
fn count(number: u64) -> Markup {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    html! { span .number { (grouped) } }
}

fn known(number: Option<u64>) -> Markup {
    number.map_or_else(|| text("?"), count)
}

fn totals(report: &LakeReport) -> Markup {
    let sum = |of: fn(&ReportedWindow) -> u64| report.windows.iter().map(of).sum::<u64>();
    // A run of several tenants has a report for each of them.
    let runs: BTreeMap<&str, &RunReport> = report.runs.iter().map(|run| (run.summary.run_id.as_str(), run)).collect();
    let is_failed =
        |id: &str| report.runs.iter().any(|run| run.summary.run_id == id && !run.summary.status.is_success());
    let failed = runs.keys().filter(|id| is_failed(id)).count() as u64;
    let throttled = runs.values().map(|run| run.summary.api.throttled).sum();
    let bytes = report.windows.iter().map(|window| window.done.data.proof.bytes + window.done.quarantine.proof.bytes);
    let tiles = [
        ("windows", count(report.windows.len() as u64)),
        ("accepted", count(sum(|window| window.done.rows.accepted))),
        ("quarantined", count(sum(|window| window.done.rows.quarantined))),
        ("duplicates", count(sum(|window| window.done.rows.duplicates))),
        ("bytes", count(bytes.sum())),
        ("runs", count(runs.len() as u64)),
        ("runs that failed", count(failed)),
        ("answers 429", count(throttled)),
    ];
    html! { div .tiles { @for (name, value) in tiles { div { strong { (value) } span { (name) } } } } }
}

fn rows_by_day(report: &LakeReport) -> Markup {
    let mut days: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    for window in &report.windows {
        let day = days.entry(&window.done.window.date).or_default();
        day[0] += window.done.rows.accepted;
        day[1] += window.done.rows.quarantined;
    }
    let chart: Vec<Bar> = days.iter().map(|(day, parts)| Bar { label: (*day).to_owned(), parts: *parts }).collect();
    html! {
        p .legend { span .accepted {} "accepted " span .quarantined {} "quarantined" }
        figure { (PreEscaped(bars(&chart))) }
    }
}

fn rows_by_hour(hours: &HourCounts) -> Markup {
    let chart: Vec<Bar> = hours
        .rows
        .iter()
        .enumerate()
        .map(|(hour, rows)| Bar { label: format!("{hour:02}"), parts: [*rows, 0] })
        .collect();
    html! {
        figure { (PreEscaped(bars(&chart))) }
        @if hours.left_out > 0 {
            p .none { "Of the newest " (hours.windows) " windows; " (hours.left_out) " older ones are too much to read." }
        }
    }
}

fn runs(runs: &[RunReport]) -> Markup {
    let row = |run: &RunReport| {
        let summary = &run.summary;
        let state = match summary.status {
            RunStatus::Ok | RunStatus::Empty => "good",
            RunStatus::Partial | RunStatus::Interrupted => "warn",
            RunStatus::Failed => "bad",
        };
        let status = format!("{:?}", summary.status).to_lowercase();
        let fetched = summary.windows.iter().filter_map(|window| window.rows.fetched).sum();
        let error = summary.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
        vec![
            text(&run.started_at),
            text(seconds(run)),
            html! { span class=(state) { (status) } " " (summary.exit_code) },
            count(summary.windows.len() as u64),
            count(fetched),
            count(summary.api.requests),
            count(summary.api.throttled),
            count(summary.api.retries),
            long(&error),
        ]
    };
    let head = ["began", "seconds", "ended", "windows", "records", "requests", "429", "retries", "why"];
    table(&head, &runs.iter().rev().map(row).collect::<Vec<_>>())
}

fn seconds(run: &RunReport) -> String {
    let at = |text: &str| text.parse::<chrono::DateTime<chrono::Utc>>().ok();
    match (at(&run.started_at), at(&run.ended_at)) {
        (Some(start), Some(end)) => format!("{:.1}", (end - start).num_milliseconds() as f64 / 1000.0),
        _ => "?".to_owned(),
    }
}

fn stages(runs: &[RunReport]) -> Markup {
    let row = |run: &RunReport| {
        let stages: Vec<StageMilliseconds> = run.details.iter().filter_map(|details| details.stages).collect();
        let sum = |of: fn(&StageMilliseconds) -> u64| count(stages.iter().map(of).sum());
        (!stages.is_empty()).then(|| {
            vec![
                text(&run.started_at),
                sum(|stages| stages.fetching),
                sum(|stages| stages.fetching_waits_for_typing),
                sum(|stages| stages.typing_waits_for_pages),
                sum(|stages| stages.typing),
                sum(|stages| stages.typing_waits_for_writing),
                sum(|stages| stages.writing_waits_for_columns),
                sum(|stages| stages.writing),
            ]
        })
    };
    let head = [
        "run began",
        "fetching (ms)",
        "fetching waits for typing",
        "typing waits for pages",
        "typing",
        "typing waits for writing",
        "writing waits for columns",
        "writing",
    ];
    table(&head, &runs.iter().rev().filter_map(row).collect::<Vec<_>>())
}

fn windows(report: &LakeReport) -> Markup {
    let row = |window: &ReportedWindow| {
        let (done, rows) = (&window.done, &window.done.rows);
        let adds_up = rows.expected == rows.fetched
            && rows.fetched == rows.accepted + rows.quarantined + rows.duplicates
            && !window.is_open;
        let state = if window.is_open {
            "being replaced"
        } else if adds_up {
            "adds up"
        } else {
            "does not add up"
        };
        vec![
            text(format!("{} {}", done.tenant, done.report)),
            text(&done.window.date),
            text(format!("{} to {}", done.window.start, done.window.end)),
            count(rows.expected),
            count(rows.fetched),
            count(rows.accepted),
            count(rows.quarantined),
            count(rows.duplicates),
            html! { span class=(if adds_up { "good" } else { "bad" }) { (state) } },
            count(done.data.proof.bytes),
            count(done.quarantine.proof.bytes),
            text(done.registry_version),
            text(&done.committed_at),
        ]
    };
    table(&WINDOW_HEAD, &report.windows.iter().rev().map(row).collect::<Vec<_>>())
}

const WINDOW_HEAD: [&str; 13] = [
    "report",
    "day",
    "window",
    "expected",
    "fetched",
    "accepted",
    "quarantined",
    "duplicates",
    "proof",
    "data bytes",
    "reject bytes",
    "registry",
    "committed",
];

fn run_windows(run: &RunReport) -> Markup {
    let row = |window: &WindowSummary| {
        let state = match window.status {
            WindowStatus::Committed | WindowStatus::Unchanged | WindowStatus::Empty => "good",
            WindowStatus::Failed => "bad",
            WindowStatus::NotStarted => "warn",
        };
        vec![
            text(format!("{} {}", window.tenant, window.report)),
            text(&window.window.date),
            text(format!("{} to {}", window.window.start, window.window.end)),
            known(window.rows.expected),
            known(window.rows.fetched),
            known(window.rows.accepted),
            known(window.rows.quarantined),
            known(window.rows.duplicates),
            html! { span class=(state) { (window.status.name()) } },
            known(window.bytes),
            long(window.error.as_ref().map_or("", |error| error.message.as_str())),
        ]
    };
    let mut head = WINDOW_HEAD[..8].to_vec();
    head.extend(["status", "bytes", "why"]);
    table(&head, &run.summary.windows.iter().map(row).collect::<Vec<_>>())
}

fn rejects(counts: &[RejectCount]) -> Markup {
    let mut totals: BTreeMap<(&str, &str, Option<&str>), (u64, &RejectCount)> = BTreeMap::new();
    for count in counts {
        let key = (count.rule.as_str(), count.path.as_str(), count.metric.as_deref());
        totals.entry(key).or_insert((0, count)).0 += count.records;
    }
    let mut rows: Vec<_> = totals.into_iter().collect();
    rows.sort_by_key(|(_, (records, _))| std::cmp::Reverse(*records));
    let row = |((rule, path, metric), (records, _)): ((&str, &str, Option<&str>), (u64, &RejectCount))| {
        vec![count(records), text(rule), place(path), text(metric.unwrap_or_default())]
    };
    table(&["records", "rule", "where", "metric"], &rows.into_iter().map(row).collect::<Vec<_>>())
}

fn run_rejects(run: &RunReport) -> Markup {
    let mut totals: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for rejects in run.details.iter().flat_map(|details| &details.rejects) {
        *totals.entry((&rejects.rule, &rejects.path)).or_default() += rejects.records;
    }
    let row = |((rule, path), records): ((&str, &str), u64)| vec![count(records), text(rule), place(path)];
    table(&["records", "rule", "where"], &totals.into_iter().map(row).collect::<Vec<_>>())
}

fn examples(examples: &[Reject], masks: &[String]) -> Markup {
    html! {
        @for reject in examples {
            details {
                summary { (reject.rule) " at " (place(&reject.path)) }
                pre { (laid_out(reject, masks)) }
            }
        }
    }
}

/// Where a violation is.
fn place(path: &str) -> Markup {
    if path.is_empty() {
        html! { "the record" }
    } else {
        html! { code { (path) } }
    }
}

fn drift(events: &[RecordedEvent]) -> Markup {
    let row = |event: &RecordedEvent| {
        let frozen = if event.frozen { "frozen" } else { "" };
        vec![
            text(&event.at),
            text(&event.event.tenant),
            text(event.event.kind.name()),
            long(&event.event.detail),
            text(event.event.registry_version.map(|version| version.to_string()).unwrap_or_default()),
            html! { span .warn { (frozen) } },
        ]
    };
    let head = ["seen", "tenant", "kind", "what", "registry", ""];
    table(&head, &events.iter().rev().map(row).collect::<Vec<_>>())
}
