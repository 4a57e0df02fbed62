//! What a run is asked for.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use super::preflight::TenantReady;
use crate::settings::{ReportSettings, Settings, WindowLength};
use crate::vocabulary::{Failure, nearest_name};
use crate::window::{Length, Window, WindowError, between, newest_ended, of_days};

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
    /// Reads the days before the span again, as the reports say. Not for a shard: the plan that it
    /// comes from has looked back already.
    pub look_back: bool,
    /// Is a part of a run so large that it waits outside of quiet hours, however small itself.
    pub of_large_run: bool,
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
    /// Refuses a span that no zone has windows for, before anything is called.
    ///
    /// # Errors
    /// For an empty, reversed or endless span.
    pub fn check_span(&self) -> Result<(), Failure> {
        let bounds = match &self.span {
            Span::Days { from, to } => {
                ((*from).and_time(NaiveTime::MIN).and_utc(), (*to).and_time(NaiveTime::MIN).and_utc())
            }
            Span::Instants { start, end } => (*start, *end),
        };
        let texts = match &self.span {
            Span::Days { from, to } => (from.to_string(), to.to_string()),
            Span::Instants { start, end } => {
                let text = |instant: &DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
                (text(start), text(end))
            }
        };
        if bounds.0 == bounds.1 {
            return Err(WindowError::Empty(texts.0).into());
        }
        if bounds.1 < bounds.0 {
            return Err(WindowError::Reversed(texts.0, texts.1).into());
        }
        let years = [bounds.0.year(), bounds.1.year()];
        if years.iter().any(|year| !(1990..=2100).contains(year)) {
            return Err(Failure::configuration(format!(
                "find the windows: {} to {} is no span of reporting data",
                texts.0, texts.1
            ))
            .hint("write days between 1990 and 2100"));
        }
        Ok(())
    }

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
    /// For a span that has no windows.
    pub(super) fn windows<'a>(
        &self,
        reports: &[&'a ReportSettings],
        ready: &TenantReady,
    ) -> Result<Vec<(&'a ReportSettings, Window)>, Failure> {
        let mut windows = Vec::new();
        for report in reports {
            let asked = self.report_windows(report, ready.time_zone)?;
            windows.extend(asked.into_iter().map(|window| (*report, window)));
        }
        windows.sort_by_key(|(_, window)| window.start);
        Ok(windows)
    }

    fn report_windows(&self, report: &ReportSettings, zone: Tz) -> Result<Vec<Window>, Failure> {
        let length = length(report);
        let lookback = Days::new(if self.look_back { report.lookback_days.into() } else { 0 });
        match &self.span {
            Span::Days { from, to } => {
                // The span itself must be one before days are added to it.
                let asked = of_days(*from, *to, zone, length)?;
                if lookback == Days::new(0) {
                    return Ok(asked);
                }
                Ok(of_days(*from - lookback, *to, zone, length).unwrap_or_default())
            }
            Span::Instants { start, end } => {
                let asked = between(*start, *end, zone, length)?;
                let Some(first) = asked.first().filter(|_| lookback != Days::new(0)) else { return Ok(asked) };
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

/// Whether a window's late records have come.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Unavailable`] with the time until then.
pub(super) fn settled(report: &ReportSettings, window: &Window, now: DateTime<Utc>) -> Result<(), Failure> {
    let settles_at = settles_at(report, window);
    if settles_at <= now {
        return Ok(());
    }
    let wait = (settles_at - now).num_seconds().max(0).unsigned_abs() + 1;
    let (start, end) = window.bounds();
    Err(Failure::unavailable(format!(
        "read the window {start} to {end} of reports.{}: it has not settled ({} minutes after its end)",
        report.name, report.settle_delay_mins
    ))
    .hint("run it later; settle_delay_mins in the report sets the delay")
    .retry_after(wait))
}

/// When a window may be read.
pub(super) fn settles_at(report: &ReportSettings, window: &Window) -> DateTime<Utc> {
    window.end + TimeDelta::minutes(i64::try_from(report.settle_delay_mins).unwrap_or_default())
}

/// The newest window of a report that may be read.
pub(super) fn newest_settled(report: &ReportSettings, zone: Tz, now: DateTime<Utc>) -> Option<Window> {
    let delay = TimeDelta::minutes(i64::try_from(report.settle_delay_mins).ok()?);
    newest_ended(now.checked_sub_signed(delay)?, zone, length(report))
}

fn length(report: &ReportSettings) -> Length {
    match report.window {
        WindowLength::Day => Length::Day,
        WindowLength::Hour => Length::Hour,
    }
}

/// Reports by their tenant.
pub(super) fn by_tenant<'a>(reports: &[&'a ReportSettings]) -> BTreeMap<&'a str, Vec<&'a ReportSettings>> {
    let mut tenants: BTreeMap<&str, Vec<&ReportSettings>> = BTreeMap::new();
    for report in reports {
        tenants.entry(&report.tenant).or_default().push(report);
    }
    tenants
}
