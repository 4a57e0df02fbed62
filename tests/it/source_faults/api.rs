//! Answers of the API.

use cxlake_simulator::{CallKind, Effect, Fault, Quota, TenantSettings};

use crate::support::faults::{ends_exact, ends_unpublished, for_ever, on_page, small, status};
use crate::support::{FastClock, Lab, PrivateNames, days, run_here, tenant};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

fn body(text: &str) -> Effect {
    Effect::Body { text: text.to_owned() }
}

fn pages(lab: &Lab) -> usize {
    lab.simulator.calls().iter().filter(|call| call.path.ends_with("data-download")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a01_a_storm_of_429_costs_no_page() {
    // Throttling uses up none of the tries for failures: three of each go before the page.
    let lab = Lab::start(small()).await;
    lab.simulator.play(Fault { times: 3, ..on_page(1000, status(429, None)) });
    lab.simulator.play(Fault { times: 3, ..on_page(1000, status(500, None)) });
    let summary = lab.cxlake(&RUN).expect(0).summary();
    assert_eq!(summary["api"]["throttled"], 3);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a02_retry_after_is_kept_to_in_seconds_and_as_a_date() {
    const TIMES: u32 = 200;
    let http_date = |after: i64| {
        (chrono::Utc::now() + chrono::TimeDelta::seconds(after)).format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    for value in ["100".to_owned(), "1, 100".to_owned(), http_date(200)] {
        let mut lab = Lab::start(small()).await;
        lab.replace("retry_attempts = 4", "retry_attempts = 4\npages_in_flight = 1");
        lab.simulator.play(on_page(0, status(503, Some(&value))));
        let summary =
            run_here(&lab, &days("2024-01-01", "2024-01-02"), FastClock::new(chrono::Utc::now(), TIMES)).await;
        assert_eq!(summary.exit_code, 0, "{value}: {summary:?}");
        let calls = lab.simulator.calls();
        let pages: Vec<u64> =
            calls.iter().filter(|call| call.path.ends_with("data-download")).map(|call| call.at_ms).collect();
        // A hundred seconds of that clock; a date loses what passed before its answer.
        assert!(pages[1] - pages[0] >= 90_000 / u64::from(TIMES), "{value}: {pages:?}");
        lab.compare_day(&lab.lake(), "2024-01-01", false);
    }
    for garbage in ["0", "-5", "soon", &http_date(-60)] {
        ends_exact(small(), vec![on_page(0, status(503, Some(garbage)))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a03_403_names_what_the_guide_requires_for_the_call() {
    let outcome = ends_unpublished(status(403, None), 3).await;
    assert!(outcome.complaint().contains("Reporting > Data Download > View"), "{}", outcome.complaint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_passing_statuses_are_tried_again_and_final_ones_are_not() {
    for code in [408, 500, 502, 503, 504] {
        ends_exact(small(), vec![on_page(500, status(code, None))]).await;
    }
    for code in [501, 505] {
        let outcome = ends_unpublished(status(code, None), 5).await;
        assert_eq!(outcome.summary()["api"]["retries"], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a05_a_request_that_is_refused_is_not_sent_again() {
    for (code, expected) in [(400, 2), (404, 3), (422, 2)] {
        let outcome = ends_unpublished(status(code, None), expected).await;
        assert_eq!(outcome.summary()["api"]["retries"], 0, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_connections_that_fail_are_made_again() {
    ends_exact(small(), vec![on_page(0, Effect::Reset), Fault::new(CallKind::Token, Effect::Reset)]).await;
    let mut lab = Lab::start(small()).await;
    let url = lab.simulator.url();
    lab.replace("retry_attempts = 4", "retry_attempts = 2");
    lab.replace(&format!("na1 = \"{url}\""), "na1 = \"http://127.0.0.1:9\"");
    lab.cxlake(&RUN).expect(5);
    lab.replace("http://127.0.0.1:9", "https://no-such-host.invalid");
    lab.cxlake(&RUN).expect(5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a07_a_body_that_trickles_is_given_up() {
    // Twenty kilobytes each second of the machine: by a clock of a hundred times, below the floor.
    let lab = Lab::start(small()).await;
    lab.simulator.play(on_page(500, Effect::Drip { bytes: 1_000, every_ms: 50 }));
    let summary = run_here(&lab, &days("2024-01-01", "2024-01-02"), FastClock::new(chrono::Utc::now(), 100)).await;
    assert_eq!((summary.exit_code, summary.api.retries), (0, 1));
    lab.compare_day(&lab.lake(), "2024-01-01", false);
    // One that comes fast enough by the floor is bounded by the request's own time.
    let mut lab = Lab::start(small()).await;
    lab.replace("retry_attempts = 4", "retry_attempts = 4\nrequest_timeout_secs = 1");
    lab.simulator.play(on_page(500, Effect::Drip { bytes: 1_000, every_ms: 50 }));
    lab.cxlake(&RUN).expect(0);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a08_no_part_of_a_cut_body_is_used() {
    for gzip in [false, true] {
        for what in [Effect::CutBody { after_bytes: 3_000 }, Effect::WrongContentLength { by: 7 }] {
            ends_exact(TenantSettings { gzip, ..small() }, vec![on_page(1000, what)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a09_a_gzip_bomb_is_not_inflated() {
    let bomb = format!("{{\"totalRecords\":0,{}\"data\":[]}}", " ".repeat(8 << 20));
    let outcome = ends_unpublished(body(&bomb), 5).await;
    assert!(outcome.message().contains("200 times its size"), "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_html_and_nothing_are_no_pages() {
    ends_exact(small(), vec![on_page(0, Effect::Html), on_page(500, body(""))]).await;
    ends_unpublished(Effect::Html, 5).await;
    ends_unpublished(body(""), 5).await;
    ends_exact(TenantSettings { empty_as_204: true, ..tenant(0) }, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_an_error_with_status_200_is_told_with_its_message() {
    let outcome = ends_unpublished(body(r#"{"error":{"code":"x","message":"report engine is down"}}"#), 5).await;
    assert!(outcome.message().contains("report engine is down"), "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_total_that_moves_reads_the_window_again() {
    ends_exact(small(), vec![on_page(1000, Effect::MovedTotal { by: 3 })]).await;
    let outcome = ends_unpublished(Effect::MovedTotal { by: 3 }, 7).await;
    assert_eq!(outcome.message().matches("totalRecords was").count(), 4, "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_duplicates_read_the_window_again_and_stable_ones_are_kept_once() {
    let lab = ends_exact(TenantSettings { bad_every: 0, ..small() }, Vec::new()).await;
    assert_eq!(pages(&lab), 8, "the window was read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a14_one_key_with_two_texts_reads_the_window_again_and_is_quarantined_if_it_stays() {
    let settings = TenantSettings { bad_rules: vec!["duplicate_key".to_owned()], duplicate_every: 0, ..small() };
    let lab = ends_exact(settings, Vec::new()).await;
    assert_eq!(pages(&lab), 8, "the window was read twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a15_a_shift_that_keeps_the_total_is_seen_where_pages_overlap() {
    let mut settings = TenantSettings { bad_every: 0, duplicate_every: 0, ..small() };
    settings.latency_ms = 150;
    let mut lab = Lab::start(settings).await;
    lab.replace("page_records = 500", "page_records = 500\npaging_check = true");
    lab.replace("burst = 100", "burst = 100\npages_in_flight = 1");
    let run = lab.begin(&RUN);
    lab.wait_for_pages(2);
    lab.simulator.change(|settings| settings.seed += 1);
    let log = run.end().expect(0).stderr;
    assert!(log.contains("is another when it is read again"), "{log}");
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_a_short_page_is_filled() {
    for (offset, records) in [(0, 1), (500, 499), (1500, 3)] {
        ends_exact(small(), vec![on_page(offset, Effect::ShortPage { records })]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a17_an_empty_page_before_the_end_is_asked_for_again() {
    ends_exact(small(), vec![Fault { times: 2, ..on_page(500, Effect::EmptyPage) }]).await;
    ends_unpublished(Effect::EmptyPage, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_a_page_that_comes_twice_is_a_fault_of_paging() {
    ends_exact(small(), vec![on_page(1500, Effect::RepeatedPage { of_offset: 1000 })]).await;
    ends_unpublished(Effect::RepeatedPage { of_offset: 500 }, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_counts_that_are_not_true_are_a_broken_page() {
    for what in [
        Effect::WrongReturnedRecords { by: -1 },
        body(r#"{"totalRecords":-1,"returnedRecords":0,"data":[]}"#),
        body(r#"{"totalRecords":1e30,"returnedRecords":0,"data":[]}"#),
        body(r#"{"totalRecords":0,"returnedRecords":1,"data":[{}]}"#),
    ] {
        ends_unpublished(what, 5).await;
    }
    let mut lab = Lab::start(small()).await;
    lab.replace("max_quarantined_percent", "# max_quarantined_percent");
    lab.simulator.play(on_page(0, body(r#"{"totalRecords":99999999999,"returnedRecords":0,"data":[]}"#)));
    assert!(lab.cxlake(&RUN).expect(2).complaint().contains("window = \"hour\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_a_401_gets_one_fresh_token_and_a_second_one_is_final() {
    ends_exact(small(), vec![on_page(1000, status(401, None))]).await;
    let outcome = ends_unpublished(status(401, None), 3).await;
    assert!(outcome.message().contains("also with a fresh token"), "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a21_many_tasks_make_one_refresh() {
    let mut settings = small();
    settings.latency_ms = 100;
    let mut lab = Lab::start(settings).await;
    lab.replace("burst = 100", "burst = 100\npages_in_flight = 16");
    lab.replace("page_records = 500", "page_records = 50");
    lab.simulator.play(Fault { skip: 8, ..Fault::new(CallKind::DataDownload, Effect::RevokeTokens) });
    lab.cxlake(&RUN).expect(0);
    let calls = lab.simulator.calls();
    assert!(calls.iter().filter(|call| call.status == 401).count() > 1, "several tasks met the end of the token");
    assert_eq!(calls.iter().filter(|call| call.path.ends_with("token")).count(), 2);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a22_lives_of_tokens_that_make_no_sense_are_short() {
    for expires_in in [serde_json::Value::Null, 0.into(), (-1).into(), "3600".into(), 1e12.into()] {
        let lab = ends_exact(TenantSettings { expires_in, ..small() }, Vec::new()).await;
        assert_eq!(lab.simulator.calls().iter().filter(|call| call.path.ends_with("token")).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a23_tokens_that_are_no_jwt_or_wrongly_signed_are_refused() {
    for token in ["opaque", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        let lab = Lab::start(small()).await;
        let text = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#);
        lab.simulator.play(for_ever(Fault::new(CallKind::Token, body(&text))));
        lab.cxlake(&RUN).expect(3);
        assert_eq!(lab.simulator.calls().len(), 1);
    }
    // alg none with the right region, where signatures are checked.
    let claims = "eyJyZWdpb24iOiJuYTEiLCJleHAiOjQxMDI0NDQ4MDB9";
    let mut lab = Lab::start(TenantSettings { sign: true, ..small() }).await;
    let keys = format!("jwks_url = \"{}/.well-known/jwks.json\"\n", lab.simulator.url());
    lab.replace("[tenants.acme.regions]", &format!("{keys}[tenants.acme.regions]"));
    let text = format!(r#"{{"access_token":"eyJhbGciOiJub25lIn0.{claims}.","expires_in":3600}}"#);
    lab.simulator.play(for_ever(Fault::new(CallKind::Token, body(&text))));
    lab.cxlake(&RUN).expect(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a24_an_unknown_region_is_named() {
    let lab = Lab::start(TenantSettings { region: "ap7".to_owned(), ..small() }).await;
    let outcome = lab.cxlake(&RUN).expect(3);
    assert!(outcome.message().contains("\"ap7\" is not configured"), "{}", outcome.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a25_a_hostile_region_gets_no_connection() {
    for region in ["evil.example/#", "na1.evil.example", "x@evil.example", "nа1", "../na1", "127.0.0.1:1", "na1\n"] {
        let lab = Lab::start(TenantSettings { region: region.to_owned(), ..small() }).await;
        lab.cxlake(&RUN).expect(3);
        assert_eq!(lab.simulator.calls().len(), 1, "{region}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a26_redirects_are_not_followed() {
    let elsewhere = Lab::start(small()).await;
    for on in [CallKind::Token, CallKind::UsersMe, CallKind::CustomMetrics, CallKind::DataDownload] {
        let lab = Lab::start(small()).await;
        lab.simulator.play(for_ever(Fault::new(on, Effect::Redirect { to: elsewhere.simulator.url() })));
        lab.cxlake(&RUN).expect(3);
    }
    assert!(elsewhere.simulator.calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a27_private_addresses_need_leave() {
    let mut lab = Lab::start(small()).await;
    let url = lab.simulator.url();
    for address in ["10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "[::ffff:10.0.0.1]"] {
        let wanted = format!("na1 = \"https://{address}\"");
        lab.replace(&format!("na1 = \"{url}\""), &wanted);
        let outcome = lab.cxlake(&RUN).expect(2);
        assert!(outcome.message().contains("a private address"), "{}", outcome.message());
        lab.replace(&wanted, &format!("na1 = \"{url}\""));
    }
    lab.cxlake(&RUN).expect(0);
    // A name is judged by where it leads.
    let names = PrivateNames::compile(lab.folder());
    lab.replace(&format!("na1 = \"{url}\""), "na1 = \"https://tenant.example\"");
    let outcome = names.outcome(lab.command(&RUN)).expect(2);
    let expected = "the host \"tenant.example\" has a private address";
    assert!(outcome.message().contains(expected), "{}", outcome.message());
    assert_eq!(outcome.summary()["api"]["retries"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a28_a_catalog_that_changed_makes_a_version_and_old_columns_stay() {
    let lab = ends_exact(small(), Vec::new()).await;
    lab.simulator.change(|settings| settings.catalog[2].status = "retired".to_owned());
    let retired = lab.simulator.settings().catalog[2].id.clone();
    let summary = lab.cxlake(&["run", "--date", "2024-01-02"]).expect(0).summary();
    assert_eq!(summary["drift"][0]["kind"], "retired");
    assert_eq!(summary["windows"][0]["registry_version"], 2);
    let newest = std::fs::read_to_string(lab.lake().join("acme/registry/v0002.json")).unwrap();
    assert!(newest.contains(&retired));
    lab.compare_day(&lab.lake(), "2024-01-02", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_moved_while_it_was_paged_is_not_taken_for_whole() {
    let lab = Lab::start(small()).await;
    let metric = |id: &str| format!(r#"{{"id":"{id}","displayName":"{id}","dataType":"string","status":"published"}}"#);
    let page = |ids: [&str; 2], next: &str| {
        let metrics = ids.map(metric).join(",");
        body(&format!(r#"{{"customMetrics":[{metrics}],"totalRecords":4{next}}}"#))
    };
    for answer in [page(["cm_a", "cm_b"], r#","nextPageToken":"2""#), page(["cm_b", "cm_d"], "")] {
        lab.simulator.play(Fault::new(CallKind::CustomMetrics, answer));
    }
    let outcome = lab.cxlake(&RUN).expect(5);
    assert!(outcome.message().contains("the metric cm_b comes twice"), "{}", outcome.message());
    assert!(!lab.lake().join("acme/registry").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a29_a_key_that_the_catalog_does_not_hold_is_kept_and_told() {
    let lab = Lab::start(small()).await;
    let drift = lab.cxlake(&RUN).expect(0).summary()["drift"].clone();
    let ids: Vec<&str> = drift.as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["/customMetrics/cm_0000000000unknown", "/queueWaitReason"]);
    lab.compare_day(&lab.lake(), "2024-01-01", false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a30_a_quota_is_heeded_where_there_is_one_that_makes_sense() {
    let quota = |remaining| Some(Quota { limit: 1000, remaining, reset_at: "2099-01-01T00:00:00Z".to_owned() });
    ends_exact(TenantSettings { quota: None, ..small() }, Vec::new()).await;
    ends_exact(TenantSettings { quota: quota(900), ..small() }, Vec::new()).await;
    ends_exact(small(), vec![for_ever(Fault::new(CallKind::Quota, body("\"lots\"")))]).await;
    let lab = Lab::start(TenantSettings { quota: quota(2), ..small() }).await;
    let outcome = lab.cxlake(&RUN).expect(5);
    assert!(outcome.message().contains("the run needs about 5 calls, 2 of 1000 are left"), "{}", outcome.message());
    assert!(outcome.summary()["retry_after_seconds"].as_u64().unwrap() > 1000);
    assert!(!lab.lake().join("acme").exists());
    // What is committed and left alone needs no calls.
    lab.simulator.change(|settings| settings.quota = None);
    lab.cxlake(&RUN).expect(0);
    lab.simulator.change(|settings| settings.quota = quota(2));
    lab.cxlake(&RUN).expect(5);
    lab.cxlake(&[&RUN[..], &["--skip-committed"]].concat()).expect(0);
}
