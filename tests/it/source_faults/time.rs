//! Clocks and zones. The borders themselves are proved by `window::tests`, over all zones.

use cxlake_simulator::TenantSettings;

use crate::support::faults::{ends_exact, small};
use crate::support::{Lab, tenant};

/// The windows of a day in a zone, as `plan` names them.
async fn windows(zone: &str, day: &str, hourly: bool) -> Vec<(String, String)> {
    let mut lab = Lab::start(TenantSettings { time_zone: zone.to_owned(), ..tenant(10) }).await;
    if hourly {
        lab.replace("page_records = 500", "page_records = 500\nwindow = \"hour\"");
    }
    let printed = lab.cxlake(&["plan", "--json", "--date", day]).expect(0).stdout;
    let shards: Vec<serde_json::Value> = serde_json::from_str(&printed).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    shards.iter().map(|shard| (text(&shard["window"]["start"]), text(&shard["window"]["end"]))).collect()
}

async fn check_day(zone: &str, day: &str, start: &str, end: &str) {
    assert_eq!(windows(zone, day, false).await, [(start.to_owned(), end.to_owned())], "{zone} {day}");
    let hours = windows(zone, day, true).await;
    assert_eq!(hours.first().unwrap().0, start);
    assert_eq!(hours.last().unwrap().1, end);
    assert!(hours.windows(2).all(|pair| pair[0].1 == pair[1].0));
}

#[tokio::test(flavor = "multi_thread")]
async fn t01_a_day_without_a_midnight_begins_after_the_gap() {
    check_day("Africa/Cairo", "2024-04-26", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z").await;
    check_day("America/Havana", "2024-03-10", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t02_of_two_midnights_the_first_begins_the_day() {
    check_day("America/Havana", "2024-11-03", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_days_of_odd_lengths_and_zones_of_half_hours_are_whole() {
    check_day("America/New_York", "2024-03-10", "2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z").await;
    check_day("America/New_York", "2024-11-03", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z").await;
    check_day("Australia/Lord_Howe", "2024-10-06", "2024-10-05T13:30:00Z", "2024-10-06T13:00:00Z").await;
    check_day("Asia/Kathmandu", "2024-01-01", "2023-12-31T18:15:00Z", "2024-01-01T18:15:00Z").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn t04_the_tenants_inclusive_end_is_the_last_millisecond() {
    let lab = ends_exact(small(), Vec::new()).await;
    let calls = lab.simulator.calls();
    let body = &calls.iter().find(|call| call.path.ends_with("data-download")).unwrap().body;
    assert!(body.contains(r#""from":"2024-01-01T05:00:00.000Z","to":"2024-01-02T04:59:59.999Z""#), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t05_windows_of_two_zones_do_not_mix() {
    let lab = ends_exact(small(), Vec::new()).await;
    lab.simulator.change(|settings| settings.time_zone = "America/Chicago".to_owned());
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]).expect(2);
    assert!(outcome.message().contains("the lake has the window"), "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn t06_a_zone_that_is_no_iana_name_is_refused() {
    let lab = Lab::start(small()).await;
    lab.simulator.change(|settings| settings.time_zone = "Mountain Standard Time".to_owned());
    let outcome = lab.cxlake(&["run", "--date", "2024-01-01"]);
    assert_eq!(outcome.code, 2, "{}", outcome.stderr);
    assert!(outcome.message().contains("\"Mountain Standard Time\" is no IANA name"), "{}", outcome.message());
    assert!(!lab.lake().join("acme").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn t07_the_rules_of_zones_are_told_by_their_version() {
    let lab = Lab::start(small()).await;
    let checked = lab.cxlake(&["check"]).expect(0).stdout;
    assert!(checked.contains(&format!("rules of tzdb {}", chrono_tz::IANA_TZDB_VERSION)), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t08_a_window_is_closed_by_the_tenants_clock() {
    let lab = Lab::start(small()).await;
    let zone: chrono_tz::Tz = lab.simulator.settings().time_zone.parse().unwrap();
    let today = chrono::Utc::now().with_timezone(&zone).date_naive();
    let day = |before: u64| (today - chrono::Days::new(before)).to_string();
    assert!(lab.cxlake(&["run", "--date", &day(0)]).expect(5).message().contains("has not settled"));
    lab.cxlake(&["run", "--date", &day(2)]).expect(0);
    // By the tenant's clock it is four days earlier than by ours: then that day is not over either.
    lab.simulator.change(|settings| settings.clock_ahead_seconds = -4 * 86_400);
    let outcome = lab.cxlake(&["run", "--date", &day(2)]).expect(5);
    assert!(outcome.message().contains("has not settled"), "{}", outcome.message());
    assert!(outcome.stderr.contains("our clock and the tenant's differ"), "{}", outcome.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn t09_late_edits_replace_what_was_stored_and_are_named() {
    let mut lab = ends_exact(small(), Vec::new()).await;
    lab.replace("page_records = 500", "page_records = 500\nlookback_days = 1");
    lab.simulator.change(|settings| settings.seed += 1);
    let summary = lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0).summary();
    assert_eq!(summary["restated"], 1);
    assert_eq!(summary["windows"][0]["restated"], true);
    assert_eq!(summary["windows"][0]["window"]["date"], "2024-01-01");
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}
