//! With which windows a run goes on after one that failed, and which days are loaded then.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::settings::ReportSettings;
use crate::vocabulary::FailureKind;
use crate::window::Window;

/// What is run after a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The next window.
    Window,
    /// The next window of another report.
    OtherReports,
    Nothing,
}

/// Reports whose further windows would fail too, and why.
#[derive(Debug, Default)]
pub(super) struct StoppedReports(BTreeMap<String, FailureKind>);

impl StoppedReports {
    pub(super) fn has(&self, report: &ReportSettings) -> bool {
        self.0.contains_key(&report.name)
    }

    /// What is run after a window of a report that failed.
    pub(super) fn next_after(&mut self, report: &ReportSettings, kind: FailureKind) -> Next {
        if concerns_one_window(kind) {
            return Next::Window;
        }
        if !matches!(kind, FailureKind::Configuration | FailureKind::Access | FailureKind::Unavailable) {
            return Next::Nothing;
        }
        // A tenant or a lake that fails for two reports fails for all, and each costs the whole patience.
        let is_for_all = kind == FailureKind::Unavailable && self.0.values().any(|other| *other == kind);
        self.0.insert(report.name.clone(), kind);
        if is_for_all { Next::Nothing } else { Next::OtherReports }
    }
}

/// Whether the next window of the same report may succeed where this one failed.
pub(super) fn concerns_one_window(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Quality | FailureKind::Incomplete | FailureKind::Superseded | FailureKind::Mismatch => true,
        FailureKind::Defect
        | FailureKind::Configuration
        | FailureKind::Access
        | FailureKind::Drift
        | FailureKind::Load
        | FailureKind::Unavailable
        | FailureKind::Interrupted
        | FailureKind::Terminated => false,
    }
}

/// The days that are loaded after the window at `position`: its own, where it is the day's last; where its report, or
/// the run, ends here, all up to it.
pub(super) fn days_to_load<'a>(
    windows: &[(&'a ReportSettings, Window)],
    position: usize,
    next: Next,
) -> Vec<(&'a ReportSettings, NaiveDate)> {
    let day = |(report, window): &(&'a ReportSettings, Window)| (*report, window.date);
    let is_same = |left: &(&ReportSettings, NaiveDate), right: &(&ReportSettings, NaiveDate)| {
        left.0.name == right.0.name && left.1 == right.1
    };
    let own = day(&windows[position]);
    if next == Next::Window {
        let goes_on_later = windows[position + 1..].iter().map(day).any(|later| is_same(&later, &own));
        return if goes_on_later { Vec::new() } else { vec![own] };
    }
    let mut days: Vec<_> = windows[..=position].iter().map(day).collect();
    days.retain(|(report, _)| next == Next::Nothing || report.name == own.0.name);
    days.sort_by(|left, right| (&left.0.name, left.1).cmp(&(&right.0.name, right.1)));
    days.dedup_by(|left, right| is_same(left, right));
    days
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Surroundings, read_settings};

    #[test]
    fn a_day_is_loaded_after_its_last_window_and_all_days_where_a_run_breaks_off() {
        let report = |name: &str| {
            format!("[reports.{name}]\ntenant = \"acme\"\nreport = \"R\"\ngroup_by = [\"id\"]\nkey = [\"id\"]\n")
        };
        let tenant = "[tenants.acme]\nauth_url = \"https://acme.example\"\nclient_id = { env = \"A\" }\nclient_secret \
                      = { env = \"A\" }\n[tenants.acme.regions]\nna1 = \"https://na1.example\"\n[lake]\nurl = \"lake\"\n";
        let surroundings = Surroundings {
            variable: &|_| Some("a".to_owned()),
            text_file: &|_| Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        let settings =
            read_settings("cxlake.toml", &format!("{}{}{tenant}", report("calls"), report("chats")), &surroundings)
                .unwrap();
        let window = |name: &str, day: u32, hour: u32| {
            let date = NaiveDate::from_ymd_opt(2024, 1, day).unwrap();
            let start = date.and_hms_opt(hour, 0, 0).unwrap().and_utc();
            (&settings.reports[name], Window { start, end: start + chrono::TimeDelta::hours(1), date })
        };
        let windows = [window("calls", 1, 0), window("chats", 1, 0), window("calls", 1, 1), window("calls", 2, 0)];
        let check = |position: usize, next: Next, expected: &[(&str, u32)]| {
            use chrono::Datelike as _;
            let days = days_to_load(&windows, position, next);
            let days: Vec<(&str, u32)> = days.iter().map(|(report, day)| (report.name.as_str(), day.day())).collect();
            assert_eq!(days, expected, "{position} {next:?}");
        };
        check(0, Next::Window, &[]);
        check(1, Next::Window, &[("chats", 1)]);
        check(2, Next::Window, &[("calls", 1)]);
        check(3, Next::Window, &[("calls", 2)]);
        check(2, Next::Nothing, &[("calls", 1), ("chats", 1)]);
        check(2, Next::OtherReports, &[("calls", 1)]);
    }
}
