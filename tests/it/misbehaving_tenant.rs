//! Faults of the tenant: what passes is tried again, what does not publishes nothing.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use cxlake::run::RunRequest;
use cxlake_simulator::{CallKind, Effect, Fault, RateLimit, TenantSettings};

use crate::support::faults::{ends_exact, ends_unpublished, for_ever, on_page, small, status};
use crate::support::{FastClock, Lab, Outcome, TlsServer, days, run_here};

const DAY: &str = "2024-01-01";
const RUN: [&str; 3] = ["run", "--date", DAY];

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_of_pages_are_tried_again() {
    for what in [
        status(500, None),
        status(503, Some("1")),
        status(429, Some("1")),
        Effect::Html,
        Effect::Garbage,
        Effect::CutBody { after_bytes: 5_000 },
        Effect::WrongContentLength { by: 10 },
        Effect::Reset,
        Effect::Slow { delay_ms: 200 },
        Effect::WrongReturnedRecords { by: 1 },
        Effect::NotUtf8 { record: 3 },
        Effect::ByteOrderMark,
        Effect::Body { text: "{}".to_owned() },
    ] {
        ends_exact(small(), vec![on_page(1000, what)]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_of_every_call_before_the_pages_are_tried_again() {
    for on in [CallKind::Token, CallKind::UsersMe, CallKind::CustomMetrics] {
        for what in [status(503, None), Effect::Garbage, Effect::Reset] {
            ends_exact(small(), vec![Fault::new(on, what)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caps_cursors_short_and_empty_pages_are_read_whole() {
    for change in [
        |settings: &mut TenantSettings| settings.page_cap = Some(130),
        |settings: &mut TenantSettings| settings.cursor_paging = true,
        |settings: &mut TenantSettings| settings.gzip = false,
        |settings: &mut TenantSettings| settings.catalog_page_size = Some(3),
    ] {
        let mut settings = small();
        change(&mut settings);
        ends_exact(settings, Vec::new()).await;
    }
    ends_exact(small(), vec![on_page(0, Effect::ShortPage { records: 7 })]).await;
    ends_exact(small(), vec![on_page(1000, Effect::ShortPage { records: 100 })]).await;
    ends_exact(small(), vec![on_page(1000, Effect::EmptyPage)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_moves_is_read_again() {
    ends_exact(small(), vec![on_page(1000, Effect::MovedTotal { by: 1 })]).await;
    ends_exact(small(), vec![on_page(1000, Effect::RepeatedPage { of_offset: 0 })]).await;
    ends_exact(small(), vec![Fault { times: 3, ..on_page(1000, Effect::EmptyPage) }]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_stay_publish_nothing() {
    for (what, code) in [
        (status(500, None), 5),
        (Effect::Garbage, 5),
        (Effect::CutBody { after_bytes: 5_000 }, 5),
        (status(400, None), 2),
        (status(403, None), 3),
        (status(404, None), 3),
        (Effect::Redirect { to: "http://127.0.0.1:9/".to_owned() }, 3),
        (Effect::MovedTotal { by: 1 }, 7),
        (Effect::RepeatedPage { of_offset: 500 }, 7),
        (Effect::EmptyPage, 7),
    ] {
        ends_unpublished(what, code).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_beyond_the_budget_is_told() {
    let mut lab = Lab::start(small()).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 4\nretry_elapsed_secs = 60");
    lab.simulator.play(on_page(0, status(429, Some("7200"))));
    let summary = lab.cxlake(&RUN).expect(5).summary();
    assert_eq!(summary["retry_after_seconds"], 7200);
    assert_eq!(summary["api"]["throttled"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_is_kept_to_by_all_tasks() {
    let lab = ends_exact(small(), vec![on_page(500, status(429, Some("2")))]).await;
    let calls = lab.simulator.calls();
    let throttled = calls.iter().find(|call| call.status == 429).unwrap();
    // Calls that were under way already are no breach.
    let within = calls.iter().filter(|call| (throttled.at_ms + 100..throttled.at_ms + 1_950).contains(&call.at_ms));
    assert_eq!(within.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_tokens_are_replaced_once_for_all_tasks() {
    let lab = ends_exact(small(), vec![on_page(1000, Effect::RevokeTokens)]).await;
    let calls = lab.simulator.calls();
    assert_eq!(calls.iter().filter(|call| call.path == "/api/v2/oauth/token").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_short_life_is_never_expired_on_the_wire() {
    let mut settings = small();
    settings.expires_in = 3.into();
    settings.latency_ms = 50;
    let mut lab = Lab::start(settings).await;
    lab.replace("burst = 100", "burst = 100\npages_in_flight = 1");
    lab.replace("page_records = 500", "page_records = 25");
    lab.cxlake(&RUN).expect(0);
    let calls = lab.simulator.calls();
    assert!(calls.iter().all(|call| call.status != 401), "{calls:?}");
    assert!(calls.iter().filter(|call| call.path == "/api/v2/oauth/token").count() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_checked_where_keys_are_named() {
    for (sign, named, code) in [(true, true, 0), (true, false, 0), (false, true, 3)] {
        let mut settings = small();
        settings.sign = sign;
        settings.key_id_in_token = named;
        let mut lab = Lab::start(settings).await;
        let keys = format!("jwks_url = \"{}/.well-known/jwks.json\"\n", lab.simulator.url());
        lab.replace("[tenants.acme.regions]", &format!("{keys}[tenants.acme.regions]"));
        lab.cxlake(&RUN).expect(code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_is_the_guides() {
    let mut lab = Lab::start(small()).await;
    lab.replace(
        "[reports.calls.columns]",
        "[reports.calls.filter.group]\ntype = \"queue\"\nid = \"q_1\"\n[reports.calls.columns]",
    );
    lab.cxlake(&RUN).expect(0);
    let calls = lab.simulator.calls();
    let first = calls.iter().find(|call| call.path.ends_with("data-download")).unwrap();
    let body: serde_json::Value = serde_json::from_str(&first.body).unwrap();
    insta::assert_json_snapshot!(body);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_run_with_a_summary() {
    let mut settings = small();
    settings.latency_ms = 2_000;
    let lab = Lab::start(settings).await;
    let run = lab.begin(&["run", "--from", "2024-01-01", "--to", "2024-01-31"]);
    lab.wait_for_pages(1);
    run.signal("TERM");
    let summary = run.end().expect(143).summary();
    assert_eq!(summary["status"], "interrupted");
    assert_eq!(summary["exit_code"], 143);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_interval_holds_more_calls_than_the_bucket_allows() {
    let mut lab = Lab::start(small()).await;
    lab.replace("requests_per_second = 1000.0", "requests_per_second = 40.0");
    lab.replace("burst = 100", "burst = 4\npages_in_flight = 16");
    lab.replace("page_records = 500", "page_records = 25");
    lab.cxlake(&RUN).expect(0);
    let at: Vec<u64> = lab.simulator.calls().iter().map(|call| call.at_ms).collect();
    assert!(at.len() > 80);
    for (first, from) in at.iter().enumerate() {
        for (last, to) in at.iter().enumerate().skip(first) {
            // A call takes a moment on its way: two that left apart can arrive closer together.
            let allowed = 4.0 + 40.0 * ((to - from) as f64 + 100.0) / 1000.0;
            assert!(((last - first + 1) as f64) <= allowed, "{} calls in {} ms", last - first + 1, to - from);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_run_waits_outside_of_quiet_hours_and_a_small_one_does_not() {
    const TIMES: u32 = 2_000;
    // Half an hour before the end of quiet hours in New York.
    let before_their_end: DateTime<Utc> = "2024-03-01T22:30:00Z".parse().unwrap();
    let mut lab = Lab::start(TenantSettings { records_per_day: 50, bad_every: 0, duplicate_every: 0, ..small() }).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 4\nquiet_hours = [\"08:00-18:00\"]");
    let small_part = days("2024-01-01", "2024-01-02");
    let part_of_a_large_run = RunRequest { of_large_run: true, ..small_part.clone() };
    let large = days("2024-01-01", "2024-01-15");
    let all_committed = RunRequest { skip_committed: true, ..large.clone() };
    for (request, waits) in [(small_part, false), (part_of_a_large_run, true), (large, true)] {
        lab.simulator.clear_calls();
        let begin = Instant::now();
        let summary = run_here(&lab, &request, FastClock::new(before_their_end, TIMES)).await;
        assert_eq!(summary.exit_code, 0, "{summary:?}");
        let half_an_hour = Duration::from_secs(30 * 60) / TIMES;
        let first = lab.simulator.calls().iter().find(|call| call.path.ends_with("data-download")).unwrap().at_ms;
        let signed_in = lab.simulator.calls()[0].at_ms;
        assert!(begin.elapsed() >= if waits { half_an_hour } else { Duration::ZERO });
        let waited = Duration::from_millis(first - signed_in) >= half_an_hour * 9 / 10;
        assert_eq!(waited, waits, "{request:?}");
    }
    // What is left alone waits for nothing.
    let in_real_time = run_here(&lab, &all_committed, FastClock::new(before_their_end, 1));
    tokio::time::timeout(Duration::from_secs(5 * 60), in_real_time).await.unwrap();
    let shards = |to| {
        let planned = lab.cxlake(&["plan", "--json", "--from", "2024-01-01", "--to", to]).expect(0).stdout;
        serde_json::from_str::<Vec<serde_json::Value>>(&planned).unwrap()
    };
    assert_eq!(shards("2024-01-02")[0].get("large_run"), None);
    assert!(shards("2024-01-15").iter().all(|shard| shard["large_run"] == true));
    lab.compare_day(&lab.lake(), "2024-01-14", false);
    lab.replace("08:00-18:00", "8 to 6");
    assert!(lab.cxlake(&RUN).expect(2).message().contains("\"8 to 6\" names no hours"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_fails_does_not_stop_the_others() {
    let mut lab = Lab::start(TenantSettings { records_per_day: 50, ..small() }).await;
    let others: Vec<String> = ["chats", "mails"].iter().map(|name| lab.report_again(name)).collect();
    lab.replace("[lake]", &format!("{}[lake]", others.concat()));
    let days = ["run", "--from", "2024-01-01", "--to", "2024-01-03"];
    let told = |outcome: &Outcome| {
        let summary = outcome.summary();
        let windows = summary["windows"].as_array().unwrap().clone();
        let told = windows.iter().map(|window| format!("{} {}", window["report"], window["status"]).replace('"', ""));
        told.collect::<Vec<_>>()
    };
    // Two that cannot be asked for at all, on the first day; then the tenant fails for all.
    lab.replace("page_records = 500", "page_records = 500\nmax_window_records = 10");
    let outcome = lab.cxlake(&days).expect(2);
    assert_eq!(
        told(&outcome),
        [
            "calls failed",
            "chats committed",
            "mails committed",
            "calls not_started",
            "chats committed",
            "mails committed"
        ]
    );
    lab.replace("retry_attempts = 4", "retry_attempts = 1");
    lab.simulator.play(for_ever(Fault::new(CallKind::DataDownload, status(503, None))));
    let outcome = lab.cxlake(&days).expect(5);
    let failed = told(&outcome).iter().filter(|window| window.ends_with("failed")).count();
    assert_eq!(failed, 2, "{:?}", told(&outcome));
}

/// The patience is for failures, not for the tenant's own pace.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_waited_long_for_its_turn_has_all_its_tries() {
    let mut lab = Lab::start(TenantSettings { records_per_day: 400, duplicate_every: 0, ..small() }).await;
    lab.replace("requests_per_second = 1000.0", "requests_per_second = 2.0\nretry_elapsed_secs = 2");
    lab.replace("burst = 100", "burst = 1\npages_in_flight = 16");
    lab.replace("page_records = 500", "page_records = 50");
    lab.simulator.play(on_page(350, status(503, None)));
    lab.cxlake(&RUN).expect(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_runs_out_during_a_long_wait_is_replaced_before_the_next_call() {
    const TIMES: u32 = 1_000;
    for value in ["600", "100"] {
        let mut lab = Lab::start(TenantSettings { expires_in: 300.into(), ..small() }).await;
        lab.replace("retry_attempts = 4", "retry_attempts = 4\npages_in_flight = 1");
        lab.simulator.play(on_page(1000, status(503, Some(value))));
        lab.simulator.change(|settings| settings.duplicate_every = 0);
        let summary = run_here(&lab, &days(DAY, "2024-01-02"), FastClock::new(Utc::now(), TIMES)).await;
        assert_eq!(summary.exit_code, 0, "{summary:?}");
        let calls = lab.simulator.calls();
        let after = calls.iter().skip_while(|call| call.status != 503).nth(1).unwrap();
        let token_is_new = after.path == "/api/v2/oauth/token";
        assert_eq!(token_is_new, value == "600", "{}", after.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_window_beside_one_that_is_not_is_a_warning() {
    let lab = Lab::start(small()).await;
    let second_day = Fault { skip: 8, ..on_page(0, Effect::EmptyData) };
    lab.simulator.play(Fault { skip: 2, ..second_day });
    lab.simulator.change(|settings| settings.duplicate_every = 0);
    lab.simulator.change(|settings| settings.bad_every = 0);
    let summary = lab.cxlake(&["run", "--from", "2024-01-01", "--to", "2024-01-04"]).expect(0).summary();
    assert_eq!(summary["windows"][2]["status"], "empty", "{summary}");
    assert_eq!(
        summary["warnings"][0],
        "acme calls: the window 2024-01-03T05:00:00Z to 2024-01-04T05:00:00Z is empty, and one beside it is not"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_ends_the_run_at_once() {
    let server = TlsServer::start();
    let mut lab = Lab::start(small()).await;
    let url = lab.simulator.url();
    lab.replace(&format!("auth_url = \"{url}\""), &format!("auth_url = \"https://127.0.0.1:{}\"", server.port()));
    let outcome = lab.cxlake(&RUN).expect(3);
    assert!(outcome.message().contains("certificate is not trusted"), "{}", outcome.message());
    assert_eq!(outcome.summary()["api"]["retries"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_make_no_sense_stop_nothing() {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    for reset in ["1e19", "1800000000", "-1", "NaN", ""] {
        let headers = vec![
            header("X-RateLimit-Limit", "100"),
            header("X-RateLimit-Remaining", "1"),
            header("X-RateLimit-Reset", reset),
        ];
        let mut lab = Lab::start(small()).await;
        lab.replace("retry_attempts = 4", "retry_attempts = 4\nslow_below_percent = 0");
        let what = Effect::Status { code: 503, headers, body: String::new() };
        lab.simulator.play(on_page(500, what));
        lab.cxlake(&RUN).expect(0);
    }
    let asks_too_much = Effect::Status {
        code: 200,
        headers: vec![header("Retry-After", "18446744073709551615")],
        body: "{}".to_owned(),
    };
    let lab = Lab::start(small()).await;
    lab.simulator.play(on_page(500, asks_too_much));
    let summary = lab.cxlake(&RUN).expect(5).summary();
    let wait = summary["retry_after_seconds"].as_u64().unwrap();
    assert!((86_300..=86_400).contains(&wait), "{summary}");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttling_is_bounded_in_tries_too() {
    let mut lab = Lab::start(small()).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 2");
    lab.simulator.play(Fault { times: 0, ..on_page(500, status(429, None)) });
    assert!(lab.cxlake(&RUN).expect(5).complaint().contains("the tenant throttles"));
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_that_no_tenant_has_are_refused_before_any_call() {
    let lab = Lab::start(small()).await;
    for arguments in [
        ["run", "--from", "0001-01-01", "--to", "9999-12-31"],
        ["run", "--from", "2024-01-02", "--to", "2024-01-02"],
        ["run", "--from", "2024-01-02", "--to", "2024-01-01"],
    ] {
        lab.cxlake(&arguments).expect(2);
    }
    lab.cxlake(&["run", "--date=+262142-12-31"]).expect(2);
    assert!(lab.simulator.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_of_the_tenants_limit_lasts_until_its_reset() {
    let rate_limit = Some(RateLimit { limit: 20, window_seconds: 3 });
    let mut lab = Lab::start(TenantSettings { rate_limit, duplicate_every: 0, bad_every: 0, ..small() }).await;
    lab.replace("page_records = 500", "page_records = 50");
    lab.replace("burst = 100", "burst = 100\npages_in_flight = 2");
    let summary = lab.cxlake(&RUN).expect(0).summary();
    // Forty pages are twice the limit: at full speed the second half would have been throttled.
    assert!(summary["api"]["throttled"].as_u64().unwrap() <= 2, "{summary}");
    lab.compare_day(&lab.lake(), DAY, false);
}
