use proptest::prelude::*;

use super::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

#[test]
fn a_day_runs_from_local_midnight_to_local_midnight() {
    fn check(zone_name: &str, day: &str, expected: &str) {
        let windows = of_days(date(day), date(day) + Days::new(1), zone(zone_name), Length::Day).unwrap();
        let names: Vec<String> = windows.iter().map(Window::name).collect();
        assert_eq!(names.join(" "), expected, "{zone_name} {day}");
    }
    check("America/New_York", "2024-01-01", "20240101T050000Z-20240102T050000Z");
    check("America/New_York", "2024-03-10", "20240310T050000Z-20240311T040000Z");
    check("America/New_York", "2024-11-03", "20241103T040000Z-20241104T050000Z");
    check("Asia/Kolkata", "2024-01-01", "20231231T183000Z-20240101T183000Z");
    // Midnight does not exist: the day begins at 01:00.
    check("Africa/Cairo", "2024-04-26", "20240425T220000Z-20240426T210000Z");
    // 00:00 to 01:00 comes twice: the first begins the day.
    check("America/Havana", "2024-11-03", "20241103T040000Z-20241104T050000Z");
    // A day that the zone left out.
    check("Pacific/Apia", "2011-12-30", "");
    check("Pacific/Apia", "2011-12-29", "20111229T100000Z-20111230T100000Z");
}

#[test]
fn hours_follow_the_local_clock() {
    fn check(zone_name: &str, day: &str, count: usize, contains: &str) {
        let windows = of_days(date(day), date(day) + Days::new(1), zone(zone_name), Length::Hour).unwrap();
        let names: Vec<String> = windows.iter().map(Window::name).collect();
        assert_eq!(names.len(), count, "{names:?}");
        assert!(names.iter().any(|name| name == contains), "{names:?}");
    }
    check("America/New_York", "2024-01-01", 24, "20240101T050000Z-20240101T060000Z");
    check("America/New_York", "2024-03-10", 23, "20240310T060000Z-20240310T070000Z");
    check("Asia/Kolkata", "2024-01-01", 24, "20231231T183000Z-20231231T193000Z");
    // Half an hour of daylight saving: one hour of the day is half as long.
    check("Australia/Lord_Howe", "2024-10-06", 24, "20241005T153000Z-20241005T160000Z");
}

#[test]
fn bounds_are_inclusive_for_the_tenant() {
    let window = of_days(date("2024-01-01"), date("2024-01-02"), zone("America/New_York"), Length::Day).unwrap()[0];
    assert_eq!(window.first_instant(), "2024-01-01T05:00:00.000Z");
    assert_eq!(window.last_instant(), "2024-01-02T04:59:59.999Z");
}

#[test]
fn the_newest_window_that_has_ended_is_found() {
    fn check(zone_name: &str, now: &str, length: Length, expected: &str) {
        assert_eq!(newest_ended(instant(now), zone(zone_name), length).unwrap().name(), expected, "{now}");
    }
    check("America/New_York", "2024-01-03T04:59:59Z", Length::Day, "20240101T050000Z-20240102T050000Z");
    check("America/New_York", "2024-01-03T05:00:00Z", Length::Day, "20240102T050000Z-20240103T050000Z");
    check("America/New_York", "2024-01-03T05:59:59Z", Length::Hour, "20240103T040000Z-20240103T050000Z");
    // Samoa had no 30 December.
    check("Pacific/Apia", "2011-12-30T11:00:00Z", Length::Day, "20111229T100000Z-20111230T100000Z");
}

#[test]
fn other_ranges_are_refused() {
    let new_york = zone("America/New_York");
    let day = date("2024-01-01");
    assert_eq!(of_days(day, day, new_york, Length::Day), Err(WindowError::Empty("2024-01-01".to_owned())));
    assert!(of_days(day, day - Days::new(1), new_york, Length::Day).is_err());
    let border = instant("2024-01-01T05:00:00Z");
    assert!(matches!(between(border, border, new_york, Length::Day), Err(WindowError::Empty(_))));
    let midnight_utc = instant("2024-01-02T00:00:00Z");
    assert_eq!(
        between(border, midnight_utc, new_york, Length::Day).unwrap_err().to_string(),
        "2024-01-02T00:00:00Z is no window border in America/New_York; \
         the borders around it are 2024-01-01T05:00:00Z and 2024-01-02T05:00:00Z"
    );
    let windows = between(border, instant("2024-01-03T05:00:00Z"), new_york, Length::Day).unwrap();
    assert_eq!(windows.len(), 2);
}

proptest! {
    #[test]
    fn windows_partition_time(zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]), day in 0..13_880_i32, hour in any::<bool>()) {
        let from = date("2000-01-01") + Days::new(day.unsigned_abs().into());
        let length = if hour { Length::Hour } else { Length::Day };
        let windows = of_days(from, from + Days::new(3), zone, length).unwrap();
        for pair in windows.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
        }
        for window in &windows {
            prop_assert!(window.start < window.end);
            if hour {
                prop_assert!(window.end - window.start <= TimeDelta::hours(1));
            }
        }
    }
}
