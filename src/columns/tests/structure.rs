//! What a record is made of: containers, keys, depth.

use super::*;
use crate::registry::{Column, ColumnOrigin, ReportColumns};
use crate::settings::limits::{COUNTED_REJECTS, RECORD_VIOLATIONS, SHOWN_PATH_BYTES};

#[test]
fn violations_of_structure_come_first_and_nothing_is_reported_below_a_wrong_container() {
    fn check(record: &str, expected: &[&str]) {
        let outcome = run(plan(&Metric::of("number").required(), UnknownKeys::Keep), &[record.as_bytes()]);
        assert_eq!(violations(&outcome.quarantine[0]), expected, "{record}");
    }
    check("42", &["not_object "]);
    check("[]", &["not_object "]);
    check(r#"{"id":"a","customMetrics":[1]}"#, &["type /customMetrics"]);
    check(r#"{"id":"a","customMetrics":null}"#, &["type /customMetrics"]);
    check(
        r#"{"duration":"x","id":"\ud800","customMetrics":{"cm_x":"y","cm_x":1},"duration":2}"#,
        &[
            "duplicate_field /duration",
            "duplicate_field /customMetrics/cm_x",
            "encoding /id",
            "type /duration",
            "type /customMetrics/cm_x",
        ],
    );
    check(r#"{"id":"a","other":{"p":[{"q":1,"q":2}]},"customMetrics":{"cm_x":1}}"#, &["duplicate_field /other/p/0/q"]);
    check(
        r#"{"id":"a","customMetrics":{"cm_x":1},"custom\u004detrics":{"cm_x":2}}"#,
        &["duplicate_field /customMetrics"],
    );
    check(r#"{"id":"a","x/y":1,"x\/y":2,"customMetrics":{"cm_x":1}}"#, &["duplicate_field /x~1y"]);
    let deep = format!(r#"{{"id":"a","deep":{}{},"customMetrics":{{"cm_x":1}}}}"#, "[".repeat(64), "]".repeat(64));
    check(&deep, &["type "]);
}

#[test]
fn encodings_are_told_from_the_top_down() {
    let record = br#"{"customMetrics":{"cm_x":"\ud800"},"id":"\ud800"}"#;
    let metric = Metric { constraints: Constraints::default(), ..Metric::of("string") };
    let outcome = run(plan(&metric, UnknownKeys::Keep), &[record]);
    assert_eq!(violations(&outcome.quarantine[0]), ["encoding /id", "encoding /customMetrics/cm_x"]);
}

/// A page that knows its depth must give the verdict of one that does not.
#[test]
fn a_record_nests_64_levels_at_most_whatever_its_page_knows() {
    let metric = Metric { constraints: Constraints::default(), ..Metric::of("number") };
    for (levels, accepted) in [(64, 1), (65, 0)] {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        let record = format!(r#"{{"id":"a","deep":{open}{close}}}"#);
        for deepest_record in [levels, usize::MAX] {
            let mut page = page(&[record.as_bytes()], usize::MAX);
            page.deepest_record = deepest_record;
            let mut typer = RecordTyper::new(plan(&metric, UnknownKeys::Keep), window(), "America/New_York", 1);
            typer.page(&page, &mut Vec::new()).unwrap();
            assert_eq!(typer.finish(&mut Vec::new()).unwrap().accepted, accepted, "{levels}");
        }
    }
}

#[test]
fn keys_that_nobody_asked_for_are_kept_exactly_or_rejected() {
    let record = r#"{"id":"a","new":1.50,"customMetrics":{"cm_new":{"a":[1, 2.0]},"cm_x":1},"é":"\u00e9"}"#;
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record.as_bytes()]);
    assert_eq!(outcome.data[0]["_unmapped"], r#"{"new":1.50,"é":"\u00e9","customMetrics":{"cm_new":{"a":[1, 2.0]}}}"#);
    let keys: Vec<&str> = outcome.typed.unknown_keys.keys().map(String::as_str).collect();
    assert_eq!(keys, ["/customMetrics/cm_new", "/new", "/é"]);
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Quarantine), &[record.as_bytes()]);
    assert_eq!(
        violations(&outcome.quarantine[0]),
        ["unknown_key /new", "unknown_key /é", "unknown_key /customMetrics/cm_new"]
    );
}

/// Names as long as a record, and a name in each record, must not take more room than what was sent.
#[test]
fn what_is_told_of_rejects_is_bounded() {
    let long = "K".repeat(900_000);
    let twice = "\"a\":1,".repeat(9_000);
    let record = format!(r#"{{"id":"a","{long}":{{{twice}"b":[{{"c":1,"c":2}}]}}}}"#);
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record.as_bytes()]);
    let all = violations(&outcome.quarantine[0]);
    assert_eq!(all.len(), RECORD_VIOLATIONS);
    assert!(all.iter().all(|violation| violation.len() < SHOWN_PATH_BYTES + 30 && violation.ends_with('…')));
    assert!(outcome.typed.unknown_keys.keys().all(|key| key.len() < SHOWN_PATH_BYTES + 4));
    assert_eq!(outcome.quarantine[0]["raw_record"], record);

    let records: Vec<String> = (0..1_500).map(|number| format!(r#"{{"id":"a{number}","k{number}":1}}"#)).collect();
    let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    let typed = run(plan(&Metric::of("number"), UnknownKeys::Quarantine), &records).typed;
    assert_eq!((typed.rejects.len(), typed.quarantined), (COUNTED_REJECTS + 1, 1_500));
    assert_eq!(typed.rejects[&("unknown_key".to_owned(), "…".to_owned())], 500);
}

#[test]
fn a_column_that_is_not_asked_for_needs_no_rules() {
    let metric = Metric::of("string").with(|constraints| constraints.pattern = Some("(?=a)b".to_owned()));
    let compiled = |requested| {
        compile(Column {
            origin: ColumnOrigin::CustomMetric,
            requested,
            constraints: metric.constraints.clone(),
            ..column("cm_x", ColumnType::String)
        })
    };
    assert!(compiled(true).unwrap_err().message.contains("compile the rules of cm_x"));
    compiled(false).unwrap();
}

#[test]
fn an_earlier_spelling_of_a_key_is_the_same_key() {
    let plan = compile(Column {
        earlier_sources: vec!["ACWSeconds".to_owned()],
        constraints: Constraints { maximum: number("100"), ..Constraints::default() },
        ..column("acwSeconds", ColumnType::Integer)
    });
    let records: [&[u8]; 4] = [
        br#"{"acwSeconds":1}"#,
        br#"{"ACWSeconds":2}"#,
        br#"{"ACWSeconds":500}"#,
        br#"{"ACWSeconds":1,"acwSeconds":1}"#,
    ];
    let outcome = run(Arc::new(plan.unwrap()), &records);
    let rows: Vec<&str> = outcome.data.iter().map(|row| row["acwSeconds"].as_str()).collect();
    assert_eq!(rows, ["1", "2"]);
    assert_eq!(outcome.typed.unknown_keys.len(), 0);
    let rejected: Vec<Vec<String>> = outcome.quarantine.iter().map(violations).collect();
    assert_eq!(rejected, [["range /acwSeconds"], ["duplicate_field /acwSeconds"]]);
}

/// A column of `groupBy` that is asked for.
fn column(source: &str, column_type: ColumnType) -> Column {
    Column {
        name: source.to_owned(),
        origin: ColumnOrigin::GroupBy,
        source: source.to_owned(),
        earlier_sources: Vec::new(),
        column_type,
        required: false,
        constraints: Constraints::default(),
        requested: true,
        field_id: 1,
        display_name: None,
    }
}

/// The plan of a report of one column.
fn compile(column: Column) -> Result<DecodePlan, crate::vocabulary::Failure> {
    let key = [column.source.clone()];
    let record_schema = serde_json::value::RawValue::NULL.to_owned();
    DecodePlan::compile(PlanRequest {
        columns: &ReportColumns { columns: vec![column], record_schema },
        registry_version: 1,
        key: &key,
        time_column: None,
        unknown_keys: UnknownKeys::Keep,
        max_record_bytes: 1 << 20,
    })
}

/// Columns are guessed from the order of earlier records; a wrong guess must never fill one.
#[test]
fn keys_fill_their_columns_in_whatever_order_they_come() {
    let metric = Metric { constraints: Constraints::default(), ..Metric::of("number") };
    let records: [&[u8]; 7] = [
        br#"{"id":"0","duration":0,"customMetrics":{"cm_x":0}}"#,
        br#"{"id":"1","customMetrics":{"cm_x":1}}"#,
        br#"{"customMetrics":{"cm_x":2},"duration":2,"id":"2"}"#,
        br#"{"duration":3,"other":true,"id":"3","customMetrics":{"y":1,"cm_x":3}}"#,
        br#"{"\u0069d":"4","dur\u0061tion":4,"customMetrics":{"cm\u005fx":4}}"#,
        br#"{"id":"5","duration":5,"cm_x":50,"customMetrics":{"id":50,"cm_x":5}}"#,
        br#"{"id":"6","noitarud":60,"duration":6,"customMetrics":{"x_mc":60,"cm_x":6}}"#,
    ];
    let outcome = run(plan(&metric, UnknownKeys::Keep), &records);
    assert_eq!(outcome.data.len(), records.len());
    for (number, row) in outcome.data.iter().enumerate() {
        assert_eq!(row["id"], number.to_string());
        assert_eq!(row["cm_x"], format!("{number}.0"));
        assert_eq!(row.get("duration").cloned(), (number != 1).then(|| format!("{number}.0")));
    }
}

/// The text of the key `a\n` is also what is sent for a key that ends in a line feed.
#[test]
fn a_key_with_a_backslash_is_not_the_text_that_is_sent_for_another() {
    let metric = Metric { constraints: Constraints::default(), ..Metric::of("number") };
    let plan = plan_with_duration_from(r"a\n", &metric, UnknownKeys::Keep);
    let records: [&[u8]; 2] = [br#"{"id":"0","a\\n":1}"#, br#"{"id":"1","a\n":2}"#];
    let rows = run(plan, &records).data;
    assert_eq!(rows[0]["duration"], "1.0");
    assert_eq!(rows[1].get("duration"), None);
    assert_eq!(rows[1]["_unmapped"], r#"{"a\n":2}"#);
}
