//! What a run is asked for.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

use super::preflight::TenantReady;
use crate::settings::{ReportSettings, Settings, WindowLength};
use crate::vocabulary::{Failure, nearest_name};
use crate::window::{Length, Window, between, of_days};

/// What to run, and how.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// Tenants by name; all if empty.
    pub tenants: Vec<String>,
    /// Reports by name; all if empty.
    pub reports: Vec<String>,
    /// The time to read.
    pub span: Span,
    /// Leaves committed windows alone.
    pub skip_committed: bool,
}

/// A span of time, in days of the tenant's zone or by instants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// From a day to another, the last excluded.
    Days {
        /// The first day.
        from: NaiveDate,
        /// The first day that is not read.
        to: NaiveDate,
    },
    /// Between two instants on window borders.
    Instants {
        /// The first instant.
        start: DateTime<Utc>,
        /// The first instant that is not read.
        end: DateTime<Utc>,
    },
}

impl RunRequest {
    /// The reports that are asked for.
    ///
    /// # Errors
    /// For a name that the configuration does not have, and where nothing is left.
    pub fn reports<'a>(&self, settings: &'a Settings) -> Result<Vec<&'a ReportSettings>, Failure> {
        known("tenant", &self.tenants, settings.tenants.keys())?;
        known("report", &self.reports, settings.reports.keys())?;
        let asked = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        let reports: Vec<&ReportSettings> = settings
            .reports
            .values()
            .filter(|report| asked(&self.tenants, &report.tenant) && asked(&self.reports, &report.name))
            .collect();
        if reports.is_empty() {
            return Err(Failure::configuration("find a report to run: the configuration has none of that choice")
                .hint("add [reports.NAME], or choose others with --tenant and --report"));
        }
        Ok(reports)
    }

    /// The windows of the reports, in the order of time, with the days that they look back.
    ///
    /// # Errors
    /// For a span that has no windows, and where a window has not settled.
    pub(super) fn windows<'a>(
        &self,
        reports: &[&'a ReportSettings],
        ready: &TenantReady,
        now: DateTime<Utc>,
    ) -> Result<Vec<(&'a ReportSettings, Window)>, Failure> {
        let mut windows = Vec::new();
        for report in reports {
            let asked = self.report_windows(report, ready.time_zone)?;
            settled(report, &asked, now)?;
            windows.extend(asked.into_iter().map(|window| (*report, window)));
        }
        windows.sort_by_key(|(_, window)| window.start);
        Ok(windows)
    }

    fn report_windows(&self, report: &ReportSettings, zone: Tz) -> Result<Vec<Window>, Failure> {
        let length = match report.window {
            WindowLength::Day => Length::Day,
            WindowLength::Hour => Length::Hour,
        };
        let lookback = Days::new(report.lookback_days.into());
        match &self.span {
            Span::Days { from, to } => {
                // The span itself must be one before days are added to it.
                let asked = of_days(*from, *to, zone, length)?;
                let mut windows = of_days(*from - lookback, *to, zone, length).unwrap_or_default();
                windows.retain(|window| report.lookback_days > 0 || asked.contains(window));
                Ok(windows)
            }
            Span::Instants { start, end } => {
                let asked = between(*start, *end, zone, length)?;
                let Some(first) = asked.first().filter(|_| report.lookback_days > 0) else { return Ok(asked) };
                let mut windows = of_days(first.date - lookback, first.date + Days::new(1), zone, length)?;
                windows.retain(|window| window.end <= *start);
                windows.extend(asked);
                Ok(windows)
            }
        }
    }
}

fn known<'a>(
    what: &str,
    asked: &[String],
    configured: impl Iterator<Item = &'a String> + Clone,
) -> Result<(), Failure> {
    let Some(unknown) = asked.iter().find(|name| !configured.clone().any(|known| known == *name)) else {
        return Ok(());
    };
    let failure = Failure::configuration(format!("find the {what} \"{unknown}\": the configuration has none"));
    Err(match nearest_name(unknown, configured.clone().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
        None => {
            failure.hint(format!("configured are: {}", configured.map(String::as_str).collect::<Vec<_>>().join(", ")))
        }
    })
}

fn settled(report: &ReportSettings, windows: &[Window], now: DateTime<Utc>) -> Result<(), Failure> {
    let delay = TimeDelta::minutes(i64::try_from(report.settle_delay_mins).unwrap_or(i64::MAX / 60_000));
    let Some(open) = windows.iter().find(|window| window.end + delay > now) else { return Ok(()) };
    let wait = (open.end + delay - now).num_seconds().max(0).unsigned_abs() + 1;
    let (start, end) = open.bounds();
    Err(Failure::unavailable(format!(
        "read the window {start} to {end} of reports.{}: it has not settled ({} minutes after its end)",
        report.name, report.settle_delay_mins
    ))
    .hint("run it later; settle_delay_mins in the report sets the delay")
    .retry_after(wait))
}

/// Reports by their tenant.
pub(super) fn by_tenant<'a>(reports: &[&'a ReportSettings]) -> BTreeMap<&'a str, Vec<&'a ReportSettings>> {
    let mut tenants: BTreeMap<&str, Vec<&ReportSettings>> = BTreeMap::new();
    for report in reports {
        tenants.entry(&report.tenant).or_default().push(report);
    }
    tenants
}
