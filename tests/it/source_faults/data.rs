//! Records that are hostile as text.

use cxlake_simulator::{Effect, TenantSettings};

use crate::support::faults::{ends_exact, ends_unpublished, for_ever, on_page, small};
use crate::support::{Lab, python};

const RUN: [&str; 3] = ["run", "--date", "2024-01-01"];

/// The rules of the quarantine, with how often they are there.
fn rules(lab: &Lab) -> String {
    let sql = format!(
        "SELECT rule, path, raw_record IS NULL AS no_text, coalesce(octet_length(raw_bytes), 0) > 0 AS bytes, count(*) \
         FROM read_parquet('{}/acme/calls/quarantine/**/*.parquet') GROUP BY ALL ORDER BY ALL",
        lab.lake().display()
    );
    let printed = python("query.py", &[lab.folder().to_str().unwrap(), &sql]);
    printed.lines().skip(1).collect::<Vec<_>>().join("\n")
}

fn clean() -> TenantSettings {
    TenantSettings { bad_every: 0, duplicate_every: 0, unknown_every: 0, ..small() }
}

#[tokio::test(flavor = "multi_thread")]
async fn d09_bytes_that_are_not_utf8_are_fetched_again_and_then_kept_as_bytes() {
    ends_exact(small(), vec![on_page(500, Effect::NotUtf8 { record: 7 }), on_page(0, Effect::ByteOrderMark)]).await;
    let lab = Lab::start(clean()).await;
    lab.simulator.play(for_ever(on_page(500, Effect::NotUtf8 { record: 7 })));
    let rows = lab.cxlake(&RUN).expect(0).summary()["windows"][0]["rows"].clone();
    assert_eq!((&rows["accepted"], &rows["quarantined"]), (&1_999.into(), &1.into()));
    assert_eq!(rules(&lab), "['encoding', '', 'True', 'True', '1']");
    let utf16 = Effect::Body { text: "\u{0}{\u{0}\"".to_owned() };
    ends_unpublished(utf16, 5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d10_a_repeated_name_is_no_choice_of_ours() {
    let settings = TenantSettings { bad_rules: vec!["duplicate_field".to_owned()], ..small() };
    ends_exact(settings, Vec::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_deep_nesting_is_rejected_alone() {
    for (depth, rejected) in [(60, 0), (10_000, 1)] {
        let lab = Lab::start(clean()).await;
        lab.simulator.play(for_ever(on_page(500, Effect::Nested { depth })));
        let rows = lab.cxlake(&RUN).expect(0).summary()["windows"][0]["rows"].clone();
        assert_eq!(rows["quarantined"], rejected, "{depth}");
        if rejected > 0 {
            assert_eq!(rules(&lab), "['type', '', 'False', 'False', '1']");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d12_a_huge_record_is_rejected_alone_and_its_hash_is_kept() {
    let lab = Lab::start(clean()).await;
    lab.simulator.play(for_ever(on_page(500, Effect::HugeRecord { bytes: 100_000_000 })));
    let rows = lab.cxlake(&RUN).expect(0).summary()["windows"][0]["rows"].clone();
    assert_eq!((&rows["accepted"], &rows["quarantined"]), (&1_999.into(), &1.into()));
    assert_eq!(rules(&lab), "['length', '', 'False', 'False', '1']");
    let kept = format!(
        "SELECT octet_length(raw_record::BLOB), violations LIKE '%sha256 %' FROM read_parquet('{}/acme/calls/quarantine/**/*.parquet')",
        lab.lake().display()
    );
    assert!(python("query.py", &[lab.folder().to_str().unwrap(), &kept]).contains("['65536', 'True']"));
    // Plain, it exceeds what an answer may take on the wire.
    lab.simulator.change(|settings| settings.gzip = false);
    assert!(lab.cxlake(&RUN).expect(5).message().contains("longer than 67108864 bytes on the wire"));
}

#[tokio::test(flavor = "multi_thread")]
async fn d17_timestamps_without_an_offset_or_outside_of_the_window_are_rejected() {
    let settings = TenantSettings { bad_rules: vec!["out_of_window".to_owned()], ..small() };
    ends_exact(settings, Vec::new()).await;
    // The spellings are in the table of `columns::tests`; here is one over the wire.
    let lab = Lab::start(clean()).await;
    let record = r#"{"interactionId":"a","agentId":"b","dispositionCode":"c","startTime":"2024-01-01T12:00:00"}"#;
    let page = format!(r#"{{"totalRecords":1,"returnedRecords":1,"data":[{record}]}}"#);
    lab.simulator.play(for_ever(on_page(0, Effect::Body { text: page })));
    let outcome = lab.cxlake(&RUN).expect(6);
    assert!(outcome.message().contains("type at \"/startTime\""), "{}", outcome.message());
}
