//! Timestamps and dates by their exact value.

use chrono::NaiveDate;

/// Why a text is no timestamp of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTimestamp {
    /// It is not RFC 3339 with an offset.
    Syntax,
    /// It is finer than a microsecond.
    Precision,
}

/// UTC microseconds of an RFC 3339 timestamp with an offset or `Z` (section 5.6; the letters may be
/// lower case). A leap second has no place among UTC microseconds and is no timestamp here.
pub(super) fn timestamp_micros(text: &str) -> Result<i64, NoTimestamp> {
    let bytes = text.as_bytes();
    let (date, rest) = text.split_at_checked(10).ok_or(NoTimestamp::Syntax)?;
    let days = date_days(date).ok_or(NoTimestamp::Syntax)?;
    if !matches!(bytes.get(10), Some(b'T' | b't')) {
        return Err(NoTimestamp::Syntax);
    }
    let time = &rest[1..];
    let (clock, rest) = time.split_at_checked(8).ok_or(NoTimestamp::Syntax)?;
    let seconds = clock_seconds(clock).ok_or(NoTimestamp::Syntax)?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return Err(NoTimestamp::Syntax);
            }
            after.split_at(digits)
        }
        None => ("", rest),
    };
    let offset = offset_seconds(rest).ok_or(NoTimestamp::Syntax)?;
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 6 {
        return Err(NoTimestamp::Precision);
    }
    let micros = fraction.bytes().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let micros = micros * 10_i64.pow(u32::try_from(6 - fraction.len()).unwrap_or(0));
    Ok((i64::from(days) * 86_400 + seconds - offset) * 1_000_000 + micros)
}

/// The last date that was read: a window's timestamps have one or two.
#[derive(Debug, Default)]
pub(super) struct LastDate {
    text: [u8; DATE_BYTES],
    days: i64,
}

/// The bytes of `YYYY-MM-DD`.
const DATE_BYTES: usize = 10;
/// What a second's digits count as microseconds, where so many of them are written.
const MICROSECOND_SCALES: [i64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

impl LastDate {
    /// As [`timestamp_micros`], of what a text begins with where that is written as most tenants do: upper-case letters, no
    /// more than six digits of a second, and `Z`; and its length. `None` for any other, which may be a timestamp too.
    #[inline]
    pub(super) fn usual_timestamp(&mut self, text: &[u8]) -> Option<(i64, usize)> {
        let (date, rest) = text.split_first_chunk::<DATE_BYTES>()?;
        let (clock, rest) = rest.split_first_chunk::<9>()?;
        if *date != self.text {
            *self = Self { days: date_days(std::str::from_utf8(date).ok()?)?.into(), text: *date };
        }
        let [b'T', h0, h1, b':', m0, m1, b':', s0, s1] = *clock else { return None };
        let [h0, h1, m0, m1, s0, s1] = [h0, h1, m0, m1, s0, s1].map(|byte| u32::from(byte.wrapping_sub(b'0')));
        if h0.max(h1).max(m0).max(m1).max(s0).max(s1) > 9 {
            return None;
        }
        let seconds = seconds_of_day(h0 * 10 + h1, m0 * 10 + m1, s0 * 10 + s1)?;
        let (fraction, count) = match rest {
            [b'.', rest @ ..] => leading_digits(rest),
            _ => (0, 0),
        };
        let scale = MICROSECOND_SCALES.get(count)?;
        let after = if count > 0 { 1 + count } else { 0 };
        let length = date.len() + clock.len() + after + 1;
        (rest.get(after) == Some(&b'Z'))
            .then_some(((self.days * 86_400 + seconds) * 1_000_000 + fraction * scale, length))
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, a real day.
pub(super) fn date_days(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let day = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits(&bytes[5..7])?, digits(&bytes[8..])?)?;
    Some(day.to_epoch_days())
}

fn clock_seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes[2] != b':' || bytes[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (digits(&bytes[..2])?, digits(&bytes[3..5])?, digits(&bytes[6..])?);
    seconds_of_day(hour, minute, second)
}

fn seconds_of_day(hour: u32, minute: u32, second: u32) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60).then(|| i64::from(hour * 3600 + minute * 60 + second))
}

/// The digits that a text begins with, and how many of them there are: one more than a microsecond has is enough.
#[inline]
fn leading_digits(text: &[u8]) -> (i64, usize) {
    let (mut value, mut count) = (0, 0);
    for byte in text.iter().take(MICROSECOND_SCALES.len()).take_while(|byte| byte.is_ascii_digit()) {
        value = value * 10 + i64::from(byte - b'0');
        count += 1;
    }
    (value, count)
}

fn offset_seconds(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let sign = match bytes {
        [b'Z' | b'z'] => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hour, minute) = (digits(&bytes[1..3])?, digits(&bytes[4..6])?);
    (hour < 24 && minute < 60).then(|| sign * i64::from(hour * 3600 + minute * 60))
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn timestamps_need_an_offset_and_keep_microseconds() {
        fn check(text: &str, expected: Result<i64, NoTimestamp>) {
            assert_eq!(timestamp_micros(text), expected, "{text}");
        }
        check("1970-01-01T00:00:00Z", Ok(0));
        check("1970-01-01t00:00:01.5z", Ok(1_500_000));
        check("1970-01-01T02:00:00.000001+02:00", Ok(1));
        check("1969-12-31T19:00:00-05:00", Ok(0));
        check("2024-02-29T12:00:00.1234560000Z", Ok(1_709_208_000_123_456));
        check("2024-01-01T00:00:00.1234567Z", Err(NoTimestamp::Precision));
        for text in [
            "",
            "2024-01-01",
            "2024-01-01T00:00:00",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T23:59:60Z",
            "2023-02-29T00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00+0200",
            "2024-01-01T00:00:00+24:00",
            "２024-01-01T00:00:00Z",
            "2024-01-01T00:00:00Zx",
            "+024-01-01T00:00:00Z",
        ] {
            check(text, Err(NoTimestamp::Syntax));
        }
    }

    #[test]
    fn dates_are_real_days() {
        assert_eq!(date_days("1970-01-02"), Some(1));
        for text in ["2023-02-29", "2024-1-01", "2024-01-01T", "20240101", "2024/01/01", "٢٠٢٤-01"] {
            assert_eq!(date_days(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn timestamps_are_those_of_chrono(micros in -62_135_596_800_000_000_i64..253_402_300_800_000_000, minutes in -1439_i32..1440) {
            let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let text = DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&offset).to_rfc3339();
            // Offsets can lead out of the years that RFC 3339 has.
            prop_assume!(text.len() >= 20 && text.as_bytes()[4] == b'-');
            prop_assert_eq!(timestamp_micros(&text), Ok(micros), "{}", text);
        }

        #[test]
        fn the_last_date_is_that_of_no_other_timestamp(texts in proptest::collection::vec("2024-0[1-3]-(28|29|30)T00:00:0[0-9]Z", 1..9)) {
            let mut last = LastDate::default();
            for text in texts {
                let expected = timestamp_micros(&text).ok();
                prop_assert_eq!(last.usual_timestamp(text.as_bytes()).map(|(micros, _)| micros), expected, "{}", text);
            }
        }

        #[test]
        fn usual_timestamps_are_those_of_any_text(
            text in "(2024|0000|9999|1969)-(0[0-9]|1[0-3])-([0-3][0-9])[Tt]([0-2][0-9]):[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,8})?(Z|z|[+-]00:00|)",
            rest in "[\"0Z.]{0,3}",
        ) {
            let expected = timestamp_micros(&text);
            if let Some((micros, length)) = LastDate::default().usual_timestamp(format!("{text}{rest}").as_bytes()) {
                prop_assert_eq!((Ok(micros), length), (timestamp_micros(&format!("{text}{rest}")[..length]), length));
            } else {
                let is_usual = text.ends_with('Z') && text.contains('T') && text.len() <= "2024-01-01T00:00:00.123456Z".len();
                prop_assert!(expected.is_err() || !is_usual, "{}", text);
            }
        }
    }
}
