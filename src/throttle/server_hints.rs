//! What the tenant says of its limits in the headers of an answer.

use std::time::{Duration, SystemTime};

/// No tenant means longer waits: a larger `X-RateLimit-Reset` is a time in the place of a duration, and
/// a larger `Retry-After` is as good as this one.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// The headers that matter for pacing, as far as they are there and make sense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServerHints {
    /// `Retry-After`: seconds, or a date measured from the server's own `Date`. `0`, the past and
    /// garbage count as absent; of several the largest counts.
    pub retry_after: Option<Duration>,
    /// `X-RateLimit-Limit`.
    pub limit: Option<f64>,
    /// `X-RateLimit-Remaining`.
    pub remaining: Option<f64>,
    /// `X-RateLimit-Reset`, from now on.
    pub reset: Option<Duration>,
}

impl ServerHints {
    /// Reads the headers through a lookup that ignores case. `now` stands in for a missing `Date`.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, now: SystemTime) -> Self {
        let server_now = header("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        let number = |name| header(name).and_then(positive_number);
        let sensible = |wait: &Duration| *wait <= LONGEST_WAIT;
        Self {
            retry_after: header("retry-after")
                .and_then(|text| retry_after(text, server_now))
                .map(|wait| wait.min(LONGEST_WAIT)),
            limit: number("x-ratelimit-limit"),
            remaining: number("x-ratelimit-remaining"),
            reset: number("x-ratelimit-reset")
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .filter(sensible),
        }
    }

    /// What is left of the limit, in percent.
    pub fn remaining_percent(&self) -> Option<f64> {
        match (self.remaining, self.limit) {
            (Some(remaining), Some(limit)) if limit > 0.0 => Some(remaining * 100.0 / limit),
            // Nothing is nothing of any limit.
            (Some(0.0), None) => Some(0.0),
            _ => None,
        }
    }
}

fn positive_number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

fn retry_after(text: &str, server_now: SystemTime) -> Option<Duration> {
    if let Ok(date) = httpdate::parse_http_date(text.trim()) {
        return date.duration_since(server_now).ok().filter(|wait| !wait.is_zero());
    }
    text.split(',')
        .filter_map(|part| part.trim().parse::<u64>().ok())
        .max()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_both_forms() {
        fn check(text: &str, expected: Option<u64>) {
            let now = httpdate::parse_http_date("Mon, 01 Jan 2024 00:00:00 GMT").unwrap();
            let header = |name: &str| (name == "retry-after").then_some(text);
            assert_eq!(ServerHints::read(header, now).retry_after, expected.map(Duration::from_secs), "{text}");
        }
        check("2", Some(2));
        check(" 120 ", Some(120));
        check("50, 53", Some(53));
        check("18446744073709551615", Some(24 * 3600));
        check("Mon, 01 Jan 2024 00:01:00 GMT", Some(60));
        check("Mon, 01 Jan 2024 00:00:00 GMT", None);
        check("Sun, 31 Dec 2023 00:00:00 GMT", None);
        for garbage in ["0", "-1", "soon", "", "1.5.2"] {
            check(garbage, None);
        }
    }

    #[test]
    fn a_date_is_measured_from_the_servers_own_clock() {
        let header = |name: &str| match name {
            "date" => Some("Mon, 01 Jan 2024 00:00:30 GMT"),
            "retry-after" => Some("Mon, 01 Jan 2024 00:01:00 GMT"),
            _ => None,
        };
        let hints = ServerHints::read(header, SystemTime::UNIX_EPOCH);
        assert_eq!(hints.retry_after, Some(Duration::from_secs(30)));
    }

    #[test]
    fn the_share_left_needs_both_headers_unless_nothing_is_left() {
        let read = |limit, remaining| ServerHints { limit, remaining, ..ServerHints::default() }.remaining_percent();
        assert_eq!(read(Some(200.0), Some(20.0)), Some(10.0));
        assert_eq!(read(None, Some(20.0)), None);
        assert_eq!(read(None, Some(0.0)), Some(0.0));
        assert_eq!(read(Some(0.0), Some(0.0)), None);
    }
}
