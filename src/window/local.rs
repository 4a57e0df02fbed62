//! Midnights and full hours of a zone, also where the clock jumps over them or shows them twice.

use chrono::{DateTime, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;

/// More than any zone ever skipped: Samoa and Kwajalein left out a whole day.
const LONGEST_SKIP_MINUTES: i64 = 49 * 60;

/// The first instant of a day: its midnight, the first of two, or where there is none the first
/// instant after the gap.
pub(super) fn day_start(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let after_gap = (0..LONGEST_SKIP_MINUTES)
        .find_map(|minutes| zone.from_local_datetime(&(midnight + TimeDelta::minutes(minutes))).earliest());
    after_gap.map_or_else(|| midnight.and_utc(), |instant| instant.with_timezone(&Utc))
}

/// The first instant after `instant` at which the local clock begins an hour, or jumps into one.
pub(super) fn next_hour_border(instant: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let next = full_hour_after(instant, zone);
    match first_jump(instant, next, zone) {
        Some(jump) if begins_hour(jump, zone) => jump,
        Some(jump) => full_hour_after(jump, zone),
        None => next,
    }
}

fn begins_hour(instant: DateTime<Utc>, zone: Tz) -> bool {
    let local = instant.with_timezone(&zone);
    local.minute() == 0 && local.second() == 0
}

/// When the local hour ends if the offset stays.
fn full_hour_after(instant: DateTime<Utc>, zone: Tz) -> DateTime<Utc> {
    let local = instant.with_timezone(&zone);
    instant + TimeDelta::seconds(3600 - i64::from(local.minute() * 60 + local.second()))
}

/// The first instant strictly between two at which the zone's offset changes. The two are at most
/// an hour apart, and no zone changes twice in an hour.
fn first_jump(from: DateTime<Utc>, to: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let offset = |instant: DateTime<Utc>| instant.with_timezone(&zone).offset().fix();
    let last = to - TimeDelta::seconds(1);
    if last <= from || offset(from) == offset(last) {
        return None;
    }
    let (mut before, mut after) = (from.timestamp(), last.timestamp());
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        let same = DateTime::from_timestamp(middle, 0).is_some_and(|middle| offset(middle) == offset(from));
        if same { before = middle } else { after = middle }
    }
    DateTime::from_timestamp(after, 0)
}
