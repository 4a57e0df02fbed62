//! Floor 1: which time to ask for. Windows are half-open ranges of instants whose borders are the
//! midnights, or the full local hours, of the tenant's zone; together they partition time.

mod local;

use std::ops::Range;

use chrono::{DateTime, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};
use chrono_tz::Tz;

use local::{day_start, next_hour_border};

/// A half-open range of instants, committed at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Window {
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
    /// The date of the tenant's zone that it belongs to: its partition `dt`.
    pub date: NaiveDate,
}

impl Window {
    /// The window's name in file names: `20240101T050000Z-20240102T050000Z`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.start.format("%Y%m%dT%H%M%SZ"), self.end.format("%Y%m%dT%H%M%SZ"))
    }

    /// The first instant as the tenant's `filter.date.from` has it, inclusive.
    pub fn first_instant(&self) -> String {
        self.start.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The last millisecond as the tenant's `filter.date.to` has it, inclusive.
    pub fn last_instant(&self) -> String {
        (self.end - TimeDelta::milliseconds(1)).to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The instants that lie in the window, in UTC microseconds.
    pub fn timestamp_micros(&self) -> Range<i64> {
        self.start.timestamp_micros()..self.end.timestamp_micros()
    }

    /// The bounds as people and other programs read them.
    pub fn bounds(&self) -> (String, String) {
        let text = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
        (text(self.start), text(self.end))
    }
}

/// How long windows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// From midnight to midnight.
    Day,
    /// From one full local hour to the next.
    Hour,
}

/// Why a range of time is no range of windows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Nothing between the bounds.
    #[error("the window is empty: it starts and ends at {0}")]
    Empty(String),
    /// The end lies before the start.
    #[error("the window ends before it starts: {0} is not before {1}")]
    Reversed(String, String),
    /// A bound is no border of a window in the tenant's zone.
    #[error("{instant} is no window border in {zone}; the borders around it are {before} and {after}")]
    NotOnBorder {
        /// The bound.
        instant: String,
        /// The tenant's zone.
        zone: String,
        /// The border before it.
        before: String,
        /// The border after it.
        after: String,
    },
}

/// The windows of the days from `from` to `to`, the last excluded. A day that the zone skipped
/// altogether has none.
///
/// # Errors
/// Where there is no day in the range.
pub fn of_days(from: NaiveDate, to: NaiveDate, zone: Tz, length: Length) -> Result<Vec<Window>, WindowError> {
    if from == to {
        return Err(WindowError::Empty(from.to_string()));
    }
    if to < from {
        return Err(WindowError::Reversed(from.to_string(), to.to_string()));
    }
    let days = from.iter_days().take_while(|day| *day < to);
    Ok(days.flat_map(|day| of_day(day, zone, length)).collect())
}

/// The windows between two instants, each of which must be a border.
///
/// # Errors
/// Where the range is empty or a bound is no border.
pub fn between(start: DateTime<Utc>, end: DateTime<Utc>, zone: Tz, length: Length) -> Result<Vec<Window>, WindowError> {
    if start == end {
        return Err(WindowError::Empty(start.to_rfc3339_opts(SecondsFormat::Secs, true)));
    }
    if end < start {
        return Err(WindowError::Reversed(start.to_rfc3339(), end.to_rfc3339()));
    }
    let first = start.with_timezone(&zone).date_naive() - Days::new(1);
    let last = end.with_timezone(&zone).date_naive() + Days::new(2);
    let around = of_days(first, last, zone, length)?;
    for bound in [start, end] {
        if !around.iter().any(|window| window.start == bound) {
            return Err(not_on_border(bound, &around, zone));
        }
    }
    Ok(around.into_iter().filter(|window| window.start >= start && window.end <= end).collect())
}

/// The newest window that has ended at an instant.
pub fn newest_ended(instant: DateTime<Utc>, zone: Tz, length: Length) -> Option<Window> {
    let day = instant.with_timezone(&zone).date_naive();
    // The day before may be one that the zone skipped.
    let days = (0..=2).filter_map(|back| day.checked_sub_days(Days::new(back)));
    days.flat_map(|day| of_day(day, zone, length).into_iter().rev()).find(|window| window.end <= instant)
}

fn not_on_border(instant: DateTime<Utc>, around: &[Window], zone: Tz) -> WindowError {
    let text = |instant: DateTime<Utc>| instant.to_rfc3339_opts(SecondsFormat::Secs, true);
    let holder = around.iter().find(|window| window.start < instant && instant < window.end);
    WindowError::NotOnBorder {
        instant: text(instant),
        zone: zone.name().to_owned(),
        before: holder.map(|window| text(window.start)).unwrap_or_default(),
        after: holder.map(|window| text(window.end)).unwrap_or_default(),
    }
}

fn of_day(day: NaiveDate, zone: Tz, length: Length) -> Vec<Window> {
    let start = day_start(day, zone);
    let end = day_start(day + Days::new(1), zone);
    if start >= end {
        return Vec::new();
    }
    match length {
        Length::Day => vec![Window { start, end, date: day }],
        Length::Hour => {
            let mut borders = vec![start];
            while let Some(last) = borders.last().copied().filter(|last| *last < end) {
                borders.push(next_hour_border(last, zone).min(end));
            }
            let pairs = borders.windows(2);
            pairs.map(|pair| Window { start: pair[0], end: pair[1], date: day }).collect()
        }
    }
}

#[cfg(test)]
mod tests;
