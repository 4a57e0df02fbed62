//! Records that go straight into the columns, beside those that the judge takes apart: no difference may be seen.

use proptest::prelude::*;

use super::*;
use crate::columns::data_batch::DataBatch;
use crate::columns::direct_row::DirectRow;
use crate::columns::record::RecordText;

const KEYS: [&str; 9] = [
    r#""id""#,
    r#""startTime""#,
    r#""duration""#,
    r#""duration" "#,
    r#""\u0064uration""#,
    r#""customMetrics""#,
    r#""other""#,
    r#""cm_x""#,
    r#""customMetrics ""#,
];
const VALUES: [&str; 24] = [
    "null",
    "true",
    "{}",
    "[1]",
    "0",
    "-0",
    "-0.0",
    "12.50",
    "1e2",
    "1E400",
    "9007199254740993",
    "-9223372036854775808",
    "534628.6012046783",
    "0.12345678901234567890123",
    r#""""#,
    r#""a""#,
    r#""b \"\ud83d\ude00\"""#,
    r#""\ud800""#,
    r#""é\t""#,
    r#""2024-01-01T12:00:00Z""#,
    r#""2024-01-01T12:00:00.1234567Z""#,
    r#""2023-01-01T12:00:00Z""#,
    r#"{"cm_x":1,"cm_x":2}"#,
    r#"{"cm_x":7 , "cm_y":[{"a":1,"a":1}]}"#,
];

fn members() -> impl Strategy<Value = String> {
    let value = || proptest::sample::select(&VALUES[..]);
    let other = (proptest::sample::select(&KEYS[..]), value()).prop_map(|(key, value)| format!("{key}:{value}"));
    let custom = value().prop_map(|value| format!(r#""customMetrics":{{"cm_x":{value}}}"#));
    let id = proptest::sample::select(&["a", "b", "c\\n"][..]).prop_map(|id| format!(r#""id":"{id}""#));
    let start = Just(r#""startTime": "2024-01-01T12:00:00.5Z""#.to_owned());
    let duration = (any::<i32>(), 0..4_u32).prop_map(|(value, digits)| format!(r#""duration":{value}.{digits}5"#));
    prop_oneof![3 => id, 2 => start, 2 => duration, 3 => custom, 1 => other]
}

fn record() -> impl Strategy<Value = String> {
    let separator = proptest::sample::select(&[",", " ,\n"][..]);
    (proptest::collection::vec(members(), 0..6), separator)
        .prop_map(|(members, separator)| format!("{{{}}}", members.join(separator)))
}

/// The judge is for what is unusual: without this test only the count of instructions would tell.
#[test]
fn usual_records_are_no_matter_for_the_judge() {
    fn check(record: &str, expected: bool) {
        let plan = plan(&Metric::of("decimal(9,2)"), UnknownKeys::Keep);
        let (mut row, mut data) = (DirectRow::default(), DataBatch::new(&plan, 0));
        let text = RecordText { bytes: record.as_bytes(), onwards: Some(record), is_shallow: true };
        assert_eq!(row.append(text, &plan, &window().timestamp_micros(), &mut data), expected, "{record}");
    }
    check(
        r#"{"id":"a","startTime":"2024-01-01T12:00:00Z","duration":534628.6012046783,"customMetrics":{"cm_x":1.5}}"#,
        true,
    );
    check(r#"{ "id": "\u00e9", "customMetrics": {"cm_x": null} }"#, true);
    check(r#"{"customMetrics":{},"duration":-1e2,"id":"a"}"#, true);
    check(r#"{"id":"a","new":1}"#, false);
    check(r#"{"id":"a","customMetrics":null}"#, false);
    check(r#"{"id":"a","id":"a"}"#, false);
}

#[test]
fn a_walk_that_ends_elsewhere_than_the_record_has_not_read_it() {
    let plan = plan(&Metric::of("number"), UnknownKeys::Keep);
    let text = r#"{"id":"a"},{"id":"b"}"#;
    for (length, expected) in [(10, true), (9, false), (11, false), (text.len(), false)] {
        let (mut row, mut data) = (DirectRow::default(), DataBatch::new(&plan, 0));
        let record = RecordText { bytes: &text.as_bytes()[..length], onwards: Some(text), is_shallow: true };
        assert_eq!(row.append(record, &plan, &window().timestamp_micros(), &mut data), expected, "{length}");
    }
}

/// Batches are borders in the files, so they must not tell how the tenant cut its pages, nor which way a record went.
#[test]
fn batches_end_after_the_same_records_however_pages_are_cut() {
    let records: Vec<String> = (0..20_000)
        .map(|number| match number % 97 {
            // The key of an earlier record: with its text, and with another.
            10 => format!(r#"{{"id":"{}","duration":1}}"#, number - 10),
            20 => format!(r#"{{"id":"{}","duration":2}}"#, number - 20),
            30 => format!(r#"{{"id":"{number}","duration":1,"new":true}}"#),
            40 => r#"{"duration":1}"#.to_owned(),
            _ => format!(r#"{{"id":"{number}","duration":1}}"#),
        })
        .collect();
    // Then the keys of earlier records with other texts, more than a batch of rejects holds.
    let conflicts = (0..9_000).map(|number| format!(r#"{{"id":"{}","duration":{number}}}"#, number % 10));
    let records: Vec<String> = records.into_iter().chain(conflicts).collect();
    let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
    let batches = |page_records: usize, deepest: usize| {
        let plan = plan(&Metric::of("string"), UnknownKeys::Keep);
        let mut typer = RecordTyper::new(plan, window(), "America/New_York", 10);
        let mut batches = Vec::new();
        records.chunks(page_records).for_each(|records| typer.page(&page(records, deepest), &mut batches).unwrap());
        let _typed = typer.finish(&mut batches).unwrap();
        let (mut accepted, mut quarantined) = (Vec::new(), Vec::new());
        for batch in batches {
            match batch {
                TypedBatch::Accepted(batch) => accepted.push(batch),
                TypedBatch::Quarantined(batch) => quarantined.push(batch),
            }
        }
        (accepted, quarantined)
    };
    let judged = batches(29_000, usize::MAX);
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>();
    assert_eq!((rows(&judged.0), rows(&judged.1)), (vec![8192, 8192, 2997], vec![8192, 1219]));
    for page_records in [1, 63, 1000, 8192, 29_000] {
        let direct = batches(page_records, 1);
        // The places of rejects are those in the pages, so their rows differ.
        assert!(direct.0 == judged.0 && rows(&direct.1) == rows(&judged.1), "{page_records}");
    }
}

#[test]
fn usual_records_after_many_unusual_ones_are_none_the_worse() {
    let record = |number: usize| {
        let unusual = if number.is_multiple_of(1000) || (200..700).contains(&number) { r#","new":1"# } else { "" };
        format!(r#"{{"id":"{number}"{unusual}}}"#)
    };
    let records: Vec<String> = (0..1500).map(record).collect();
    let outcome =
        run(plan(&Metric::of("number"), UnknownKeys::Keep), &records.iter().map(String::as_bytes).collect::<Vec<_>>());
    assert_eq!((outcome.typed.accepted, outcome.typed.unknown_keys["/new"]), (1500, (502, 0)));
}

proptest! {
    #[test]
    fn direct_rows_are_those_of_the_judge(
        records in proptest::collection::vec(record(), 1..12),
        column_type in proptest::sample::select(&["string", "number", "integer", "boolean", "decimal(9,2)", "date"][..]),
        (required, minimum) in any::<(bool, bool)>(),
        quarantine in any::<bool>(),
    ) {
        let mut metric = Metric::of(column_type);
        metric.required = required;
        if minimum {
            metric = metric.with(|constraints| constraints.minimum = number("5"));
        }
        let unknown_keys = if quarantine { UnknownKeys::Quarantine } else { UnknownKeys::Keep };
        let records: Vec<&[u8]> = records.iter().map(String::as_bytes).collect();
        let outcome = run(plan(&metric, unknown_keys), &records);
        prop_assert_eq!(outcome.typed.fetched, records.len() as u64);
    }

    #[test]
    fn rows_whose_key_comes_again_are_removed_from_among_the_others(
        records in proptest::collection::vec((0..200_u32, proptest::option::weighted(0.8, 0..2_u32)), 0..300),
        column_type in proptest::sample::select(&["string", "number"][..]),
    ) {
        let value = |value: u32| if column_type == "string" { format!(r#""text {value}""#) } else { value.to_string() };
        let record = |(id, metric): &(u32, Option<u32>)| {
            let metric = metric.map_or_else(|| "null".to_owned(), value);
            format!(r#"{{"id":"{id}","duration":{id},"customMetrics":{{"cm_x":{metric}}}}}"#)
        };
        let records: Vec<String> = records.iter().map(record).collect();
        let keys: std::collections::BTreeSet<&str> =
            records.iter().filter_map(|record| record.split(',').next()).collect();
        let outcome = run(plan(&Metric::of(column_type), UnknownKeys::Keep), &records.iter().map(String::as_bytes).collect::<Vec<_>>());
        prop_assert_eq!(outcome.typed.accepted, keys.len() as u64);
    }
}
