//! Hours in which large runs leave the tenant alone: its working hours, and those in which WEM
//! computes (guide, edge case 3).

use std::str::FromStr;
use std::time::Duration;

use chrono::{NaiveTime, Timelike as _};

const DAY_MINUTES: u32 = 24 * 60;

/// Hours of a day in the tenant's zone, `08:00-18:00`. The end may lie on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    start_minute: u32,
    end_minute: u32,
}

/// A text that names no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no hours: expected HH:MM-HH:MM")]
pub struct ParseQuietHoursError(String);

impl FromStr for QuietHours {
    type Err = ParseQuietHoursError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let minute = |text: &str| -> Option<u32> {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour <= 24 && minute < 60 && hour * 60 + minute <= DAY_MINUTES).then(|| hour * 60 + minute)
        };
        let parsed = text.split_once('-').and_then(|(start, end)| Some((minute(start)? % DAY_MINUTES, minute(end)?)));
        match parsed {
            Some((start_minute, end_minute)) if start_minute != end_minute => Ok(Self { start_minute, end_minute }),
            _ => Err(ParseQuietHoursError(text.to_owned())),
        }
    }
}

impl QuietHours {
    /// How long the quiet hours last from `local` on; `None` outside of them.
    pub fn remaining(self, local: NaiveTime) -> Option<Duration> {
        let day = DAY_MINUTES;
        let now = local.hour() * 60 + local.minute();
        let into = (now + day - self.start_minute) % day;
        let length = (self.end_minute + day - self.start_minute - 1) % day + 1;
        (into < length).then(|| {
            let seconds = u64::from((length - into) * 60) - u64::from(local.second());
            Duration::from_secs(seconds)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_end_when_they_say() {
        fn check(hours: &str, local: &str, minutes: Option<u64>) {
            let remaining = hours.parse::<QuietHours>().unwrap().remaining(local.parse().unwrap());
            assert_eq!(remaining, minutes.map(|minutes| Duration::from_secs(minutes * 60)), "{hours} {local}");
        }
        check("08:00-18:00", "07:59:00", None);
        check("08:00-18:00", "08:00:00", Some(600));
        check("08:00-18:00", "17:59:00", Some(1));
        check("08:00-18:00", "18:00:00", None);
        check("22:00-02:00", "23:00:00", Some(180));
        check("22:00-02:00", "01:00:00", Some(60));
        check("22:00-02:00", "12:00:00", None);
        check("00:00-24:00", "12:00:00", Some(720));
        check("24:00-01:00", "00:30:00", Some(30));
    }

    #[test]
    fn other_texts_name_no_hours() {
        for text in [
            "",
            "08:00",
            "8-18",
            "08:00-08:00",
            "08:00-24:01",
            "08:60-09:00",
            "a-b",
            "24:00-00:00",
            "99999999:00-18:00",
        ] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }
}
