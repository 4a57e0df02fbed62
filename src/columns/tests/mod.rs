mod direct_row;
mod structure;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, TimestampMicrosecondArray};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;

use super::*;
use crate::registry::{
    CatalogMetric, MetricOverride, MetricStatus, ReportRequest, Selection, StandardColumnRequest, evolve,
};
use crate::vocabulary::json::value_end;
use crate::vocabulary::{AllowedValue, ColumnType, Constraints, ExactNumber, Page, snake_case};
use crate::window::{Length, Window, of_days};

/// The custom metric under test: its type and constraints.
#[derive(Clone, Default)]
struct Metric {
    column_type: Option<ColumnType>,
    required: bool,
    constraints: Constraints,
}

impl Metric {
    fn of(column_type: &str) -> Self {
        Self { column_type: Some(column_type.parse().unwrap()), ..Self::default() }
    }

    fn with(mut self, change: impl FnOnce(&mut Constraints)) -> Self {
        change(&mut self.constraints);
        self
    }

    fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

fn number(text: &str) -> Option<ExactNumber> {
    ExactNumber::parse(text)
}

fn allowed(json: &str) -> Option<Vec<AllowedValue>> {
    serde_json::from_str(json).unwrap()
}

fn window() -> Window {
    let day = "2024-01-01".parse().unwrap();
    of_days(day, day + chrono::Days::new(1), chrono_tz::America::New_York, Length::Day).unwrap()[0]
}

fn plan(metric: &Metric, unknown_keys: UnknownKeys) -> Arc<DecodePlan> {
    plan_with_duration_from("duration", metric, unknown_keys)
}

fn plan_with_duration_from(source: &str, metric: &Metric, unknown_keys: UnknownKeys) -> Arc<DecodePlan> {
    let standard = |source: &str, column_type| StandardColumnRequest {
        source: source.to_owned(),
        name: snake_case(source),
        column_type,
        required: source == "id",
        constraints: Constraints::default(),
    };
    let report = ReportRequest {
        name: "calls".to_owned(),
        group: None,
        group_by: vec![standard("id", ColumnType::String), standard("startTime", ColumnType::Timestamp)],
        metrics: vec![StandardColumnRequest { source: source.to_owned(), ..standard("duration", ColumnType::Number) }],
        custom_metrics: Selection::All,
    };
    let catalog = [CatalogMetric {
        id: "cm_x".to_owned(),
        display_name: "X".to_owned(),
        data_type: "string".to_owned(),
        constraints: metric.constraints.clone(),
        required: metric.required,
        status: MetricStatus::Published,
        reporting_groups: None,
    }];
    let schema = metric.constraints.schema.clone();
    let given = MetricOverride { column_type: metric.column_type, schema, ..MetricOverride::default() };
    let overrides = BTreeMap::from([("cm_x".to_owned(), given)]);
    let version = evolve("acme", None, &catalog, &overrides, &[report], String::new()).unwrap().version;
    let request = PlanRequest {
        columns: &version.reports["calls"],
        registry_version: 1,
        key: &["id".to_owned()],
        time_column: Some("startTime"),
        unknown_keys,
        max_record_bytes: 1 << 20,
    };
    Arc::new(DecodePlan::compile(request).unwrap())
}

fn page(records: &[&[u8]], deepest_record: usize) -> Page {
    let mut body = Vec::new();
    let ranges = records
        .iter()
        .map(|record| {
            let start = body.len();
            body.extend_from_slice(record);
            start..body.len()
        })
        .collect();
    Page::new(0, Bytes::from(body), ranges, deepest_record)
}

#[derive(Debug, PartialEq)]
struct Outcome {
    typed: Typed,
    data: Vec<BTreeMap<String, String>>,
    quarantine: Vec<BTreeMap<String, String>>,
}

fn rows(batch: &RecordBatch, into: &mut Vec<BTreeMap<String, String>>) {
    let options = FormatOptions::default();
    for row in 0..batch.num_rows() {
        let schema = batch.schema();
        let cells = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row)).map(
            |(field, column)| {
                // The formatter knows offsets, but no names of zones.
                let timestamps = column.as_any().downcast_ref::<TimestampMicrosecondArray>();
                let column: &dyn Array = match &timestamps.map(|array| array.clone().with_timezone("+00:00")) {
                    Some(array) => &array.clone(),
                    None => column,
                };
                let formatter = ArrayFormatter::try_new(column, &options).unwrap();
                (field.name().clone(), formatter.value(row).to_string())
            },
        );
        into.push(cells.collect());
    }
}

/// What becomes of records where each is judged, and the same where those beyond doubt go straight into the columns.
fn run(plan: Arc<DecodePlan>, records: &[&[u8]]) -> Outcome {
    let judged = run_page(Arc::clone(&plan), &page(records, usize::MAX));
    let depth = |record: &&[u8]| value_end(record, 0).map_or(usize::MAX, |(_, depth)| depth);
    let direct = run_page(plan, &page(records, records.iter().map(depth).max().unwrap_or_default()));
    assert_eq!(direct, judged);
    judged
}

fn run_page(plan: Arc<DecodePlan>, page: &Page) -> Outcome {
    let mut typer = RecordTyper::new(plan, window(), "America/New_York", 10);
    let mut batches = Vec::new();
    typer.page(page, &mut batches).unwrap();
    let typed = typer.finish(&mut batches).unwrap();
    let (mut data, mut quarantine) = (Vec::new(), Vec::new());
    for batch in batches {
        match batch {
            TypedBatch::Accepted(batch) => rows(&batch, &mut data),
            TypedBatch::Quarantined(batch) => rows(&batch, &mut quarantine),
        }
    }
    Outcome { typed, data, quarantine }
}

/// The violations of a row of the quarantine, as `rule path`.
fn violations(row: &BTreeMap<String, String>) -> Vec<String> {
    let all: serde_json::Value = serde_json::from_str(&row["violations"]).unwrap();
    let one = |violation: &serde_json::Value| {
        format!("{} {}", violation["rule"].as_str().unwrap(), violation["path"].as_str().unwrap())
    };
    all.as_array().unwrap().iter().map(one).collect()
}

/// A metric's value is kept, and read back as `expected`.
fn accept(metric: &Metric, value: &str, expected: &str) {
    let record = format!(r#"{{"id":"a","customMetrics":{{"cm_x":{value}}}}}"#);
    let outcome = run(plan(metric, UnknownKeys::Keep), &[record.as_bytes()]);
    assert_eq!(outcome.quarantine, [], "{value}");
    assert_eq!(outcome.data[0].get("cm_x").map(String::as_str), Some(expected), "{value}");
}

/// A metric's value is rejected by one rule.
fn reject(metric: &Metric, value: &str, rule: &str) {
    reject_by(metric, value, &[rule]);
}

fn reject_by(metric: &Metric, value: &str, rules: &[&str]) {
    let record = format!(r#"{{"id":"a","customMetrics":{{"cm_x":{value}}}}}"#);
    let outcome = run(plan(metric, UnknownKeys::Keep), &[record.as_bytes()]);
    assert_eq!(outcome.data, [], "{value}");
    let expected: Vec<String> = rules.iter().map(|rule| format!("{rule} /customMetrics/cm_x")).collect();
    assert_eq!(violations(&outcome.quarantine[0]), expected, "{value}");
    assert_eq!(outcome.quarantine[0]["raw_record"], record);
}

#[test]
fn strings_keep_every_code_point_and_nothing_else_is_a_string() {
    let text = Metric::of("string");
    for (value, expected) in [
        (r#""007""#, "007"),
        (r#""  x ""#, "  x "),
        (r#""""#, ""),
        (r#""\u00e9\ud83d\ude00\n""#, "é😀\n"),
        (r#""\u0000""#, "\0"),
    ] {
        accept(&text, value, expected);
    }
    for value in ["7", "true", "{}", "[]", "1e3"] {
        reject(&text, value, "type");
    }
    for value in [r#""\ud800""#, r#""\udc00x""#] {
        reject(&text, value, "encoding");
    }
}

#[test]
fn booleans_are_two_words() {
    let boolean = Metric::of("boolean");
    accept(&boolean, "true", "true");
    accept(&boolean, "false", "false");
    for value in [r#""true""#, "1", "0", r#""Y""#, "[]"] {
        reject(&boolean, value, "type");
    }
}

#[test]
fn integers_are_whole_literals_within_int64() {
    let integer = Metric::of("integer");
    for (value, expected) in [
        ("5", "5"),
        ("5.0", "5"),
        ("1e3", "1000"),
        ("9007199254740993", "9007199254740993"),
        ("-9223372036854775808", "-9223372036854775808"),
    ] {
        accept(&integer, value, expected);
    }
    for (value, rule) in [
        ("1.5", "type"),
        ("1e-1", "type"),
        (r#""5""#, "type"),
        (r#""007""#, "type"),
        ("true", "type"),
        ("9223372036854775808", "range"),
        ("18446744073709551616", "range"),
        ("1e400", "range"),
    ] {
        reject(&integer, value, rule);
    }
}

#[test]
fn numbers_are_literals_that_float64_keeps() {
    let float = Metric::of("number");
    for (value, expected) in [("0.87", "0.87"), ("0.870", "0.87"), ("1e-3", "0.001")] {
        accept(&float, value, expected);
    }
    for (value, rule) in [
        (r#""0.87""#, "type"),
        (r#""NaN""#, "type"),
        ("9007199254740993", "precision"),
        ("12345678901234567", "precision"),
        ("12345678901234567890123", "precision"),
        ("0.1000000000000000055511151231257827", "precision"),
        ("1e-400", "precision"),
        ("1e400", "range"),
    ] {
        reject(&float, value, rule);
    }
}

#[test]
fn decimals_are_exact() {
    let decimal = Metric::of("decimal(9,6)");
    for (value, expected) in
        [("0.870", "0.870000"), ("1e-6", "0.000001"), ("-999.999999", "-999.999999"), ("0.1234560", "0.123456")]
    {
        accept(&decimal, value, expected);
    }
    accept(
        &Metric::of("decimal(38,0)"),
        "12345678901234567890123456789012345678",
        "12345678901234567890123456789012345678",
    );
    for (value, rule) in [("0.1234567", "precision"), ("1000", "range"), (r#""0.87""#, "type"), ("1e400", "range")] {
        reject(&decimal, value, rule);
    }
    reject_by(&decimal, "1000.1234567", &["precision", "range"]);
}

#[test]
fn timestamps_and_dates_are_real_moments() {
    let timestamp = Metric::of("timestamp");
    accept(&timestamp, r#""2024-01-01T00:00:00.123456+02:00""#, "2023-12-31T22:00:00.123456Z");
    accept(&timestamp, r#""2024-01-01T00:00:00.1000000Z""#, "2024-01-01T00:00:00.100Z");
    reject(&timestamp, r#""2024-01-01T00:00:00""#, "type");
    reject(&timestamp, r#""2024-01-01T00:00:00.1234567Z""#, "precision");
    reject(&timestamp, "1704067200", "type");
    let short = Metric::of("timestamp").with(|constraints| constraints.max_length = Some(20));
    accept(&short, r#""2024-01-01T00:00:00Z""#, "2024-01-01T00:00:00Z");
    reject(&short, r#""2024-01-01T00:00:00.5Z""#, "length");
    let date = Metric::of("date");
    accept(&date, r#""2024-02-29""#, "2024-02-29");
    reject(&date, r#""2023-02-29""#, "type");
    reject(&date, "20240229", "type");
}

#[test]
fn constraints_are_compared_on_the_exact_value() {
    let between = Metric::of("number").with(|constraints| {
        constraints.minimum = number("0");
        constraints.maximum = number("1");
    });
    accept(&between, "1.0", "1.0");
    accept(&between, "-0", "-0.0");
    reject(&between, "1.0000001", "range");
    reject(&between, "-1e-9", "range");
    let above_a_float = Metric::of("number").with(|constraints| constraints.minimum = number("9007199254740993"));
    reject(&above_a_float, "9007199254740992", "range");
    accept(&above_a_float, "9007199254740994", "9007199254740994.0");
    let beyond_floats = Metric::of("decimal(38,20)").with(|constraints| constraints.maximum = number("0.1"));
    accept(&beyond_floats, "0.1", "0.10000000000000000000");
    reject(&beyond_floats, "0.10000000000000000001", "range");
    let digits = Metric::of("number").with(|constraints| constraints.precision = Some(2));
    accept(&digits, "0.870", "0.87");
    reject(&digits, "0.871", "precision");
    let words = Metric::of("string").with(|constraints| {
        constraints.allowed_values = allowed(r#"["PASS", "FAIL"]"#);
    });
    accept(&words, r#""P\u0041SS""#, "PASS");
    reject(&words, r#""pass""#, "enum");
    let numbers = Metric::of("integer").with(|constraints| constraints.allowed_values = allowed("[1, 2]"));
    accept(&numbers, "2.0", "2");
    reject(&numbers, "3", "enum");
    for (keyword, kept, broken, rule) in [
        ("maximum", "9007199254740992.0", "9007199254740993.0", "range"),
        ("multipleOf", "9007199254740993.0", "9007199254740995.0", "precision"),
        ("const", "9007199254740993.0", "9007199254740992.0", "enum"),
    ] {
        let given = if keyword == "multipleOf" { 3 } else { kept.trim_end_matches(".0").parse::<i64>().unwrap() };
        let further = serde_json::Map::from_iter([(keyword.to_owned(), given.into())]);
        let integers = Metric::of("integer").with(|constraints| constraints.schema = Some(further));
        accept(&integers, kept, kept.trim_end_matches(".0"));
        reject(&integers, broken, rule);
    }
    let beyond_floats = Metric::of("decimal(38,0)")
        .with(|constraints| constraints.allowed_values = allowed("[12345678901234567890123]"));
    accept(&beyond_floats, "12345678901234567890123", "12345678901234567890123");
    reject(&beyond_floats, "12345678901234567890124", "enum");
    let days = Metric::of("date").with(|constraints| constraints.pattern = Some("^2024-01".to_owned()));
    accept(&days, r#""2024-01-31""#, "2024-01-31");
    reject(&days, r#""2024-02-01""#, "pattern");
    let pattern = Metric::of("string").with(|constraints| constraints.pattern = Some("^[A-Z]{2}-[0-9]+$".to_owned()));
    accept(&pattern, r#""AB-12""#, "AB-12");
    reject(&pattern, r#""ab-12""#, "pattern");
    let length = Metric::of("string").with(|constraints| constraints.max_length = Some(3));
    accept(&length, r#""äöü""#, "äöü");
    reject(&length, r#""abcd""#, "length");
    let two_rules = Metric::of("string").with(|constraints| {
        constraints.max_length = Some(3);
        constraints.schema = Some(serde_json::Map::from_iter([("format".to_owned(), "email".into())]));
    });
    accept(&two_rules, r#""a@b""#, "a@b");
    reject_by(&two_rules, r#""abcd""#, &["length", "pattern"]);
}

#[test]
fn absent_and_null_are_for_values_that_nobody_requires() {
    let optional = Metric::of("number");
    for record in [r#"{"id":"a"}"#, r#"{"id":"a","customMetrics":{}}"#, r#"{"id":"a","customMetrics":{"cm_x":null}}"#] {
        let outcome = run(plan(&optional, UnknownKeys::Keep), &[record.as_bytes()]);
        assert_eq!(outcome.data.len(), 1, "{record}");
        assert_eq!(outcome.data[0].get("cm_x"), None);
    }
    let required = Metric::of("number").required();
    reject(&required, "null", "null");
    for (record, expected) in [
        (r#"{"id":"a"}"#, "missing /customMetrics/cm_x"),
        (r#"{"id":"a","customMetrics":{}}"#, "missing /customMetrics/cm_x"),
        (r#"{"customMetrics":{"cm_x":1}}"#, "missing /id"),
        (r#"{"id":null,"customMetrics":{"cm_x":1}}"#, "null /id"),
    ] {
        let outcome = run(plan(&required, UnknownKeys::Keep), &[record.as_bytes()]);
        assert_eq!(violations(&outcome.quarantine[0]), [expected], "{record}");
    }
}

#[test]
fn one_key_has_one_row() {
    let records: [&[u8]; 6] = [
        br#"{"id":"a","duration":"x"}"#,
        br#"{"id":"a","duration":1}"#,
        br#"{"id":"a","duration":1}"#,
        br#"{"id":"a","duration":1.0}"#,
        br#"{"id":"a","duration":"x"}"#,
        br#"{"id":"b","duration":1}"#,
    ];
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &records);
    let Typed { fetched, accepted, quarantined, duplicates, .. } = outcome.typed;
    assert_eq!((fetched, accepted, quarantined, duplicates), (6, 2, 3, 1));
    let rules: Vec<(&str, &str)> =
        outcome.quarantine.iter().map(|row| (row["rule"].as_str(), row["source_offset"].as_str())).collect();
    assert_eq!(rules, [("type", "0"), ("duplicate_key", "3"), ("type", "4")]);
    assert_eq!(outcome.quarantine[1]["record_key"], "a");
}

#[test]
fn a_record_outside_its_window_is_rejected() {
    for (time, inside) in [
        ("2024-01-01T05:00:00Z", true),
        ("2024-01-01T04:59:59.999999Z", false),
        ("2024-01-02T04:59:59.999999Z", true),
        ("2024-01-02T00:00:00-05:00", false),
    ] {
        let record = format!(r#"{{"id":"a","startTime":"{time}"}}"#);
        let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record.as_bytes()]);
        assert_eq!(outcome.data.len(), usize::from(inside), "{time}");
        if !inside {
            assert_eq!(violations(&outcome.quarantine[0]), ["out_of_window /startTime"]);
        }
    }
}

#[test]
fn what_is_found_outside_of_the_window_is_told_however_its_key_is_written() {
    let record = r#"{"id":"a","st\u0061rtTime":"2024-01-03T00:00:00Z"}"#;
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record.as_bytes()]);
    assert!(outcome.quarantine[0]["violations"].contains("2024-01-03T00:00:00Z"), "{:?}", outcome.quarantine);
}

#[test]
fn a_record_counts_once_for_an_unknown_key_that_it_repeats() {
    let records: [&[u8]; 2] = [br#"{"id":"a","new":1,"new":2}"#, br#"{"id":"b","new":1}"#];
    let unknown = run(plan(&Metric::of("number"), UnknownKeys::Keep), &records).typed.unknown_keys;
    assert_eq!(unknown, BTreeMap::from([("/new".to_owned(), (2, 0))]));
}

#[test]
fn bytes_that_are_not_utf8_are_kept_as_bytes() {
    let record = b"{\"id\":\"a\xff\"}";
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record]);
    assert_eq!(violations(&outcome.quarantine[0]), ["encoding "]);
    assert_eq!(outcome.quarantine[0]["raw_bytes"], "7b226964223a2261ff227d");
    assert_eq!(outcome.quarantine[0].get("raw_record"), None);
}

#[test]
fn rows_say_where_they_come_from_and_sums_prove_them() {
    let records: [&[u8]; 2] = [br#"{"id":"a","duration":142.5}"#, br#"{"id":"b","duration":0.1}"#];
    let outcome = run(plan(&Metric::of("integer"), UnknownKeys::Keep), &records);
    assert_eq!(outcome.data[0]["report_date"], "2024-01-01");
    assert_eq!(outcome.data[0]["_schema_version"], "1");
    let sums: Vec<(&str, u64, &str)> =
        outcome.typed.sums.iter().map(|sum| (sum.column.as_str(), sum.values, sum.sum.as_str())).collect();
    assert_eq!(sums, [("duration", 2, "142.6"), ("cm_x", 0, "0")]);
}

#[test]
fn the_extract_hash_is_over_each_records_bytes_in_order() {
    let hash = |records: &[&[u8]]| run(plan(&Metric::of("number"), UnknownKeys::Keep), records).typed.extract_sha256;
    let (a, b): (&[u8], &[u8]) = (br#"{"id":"a"}"#, br#"{"id":"b"}"#);
    assert_eq!(hash(&[a, b]), hash(&[a, b]));
    assert_ne!(hash(&[a, b]), hash(&[b, a]));
    assert_ne!(hash(&[a, b]), hash(&[a]));
}

#[test]
fn of_a_record_that_is_too_long_the_beginning_and_the_hash_are_kept() {
    let record = format!(r#"{{"id":"a","text":"{}"}}"#, "é".repeat(1 << 20));
    let outcome = run(plan(&Metric::of("number"), UnknownKeys::Keep), &[record.as_bytes(), br#"{"id":"b"}"#]);
    assert_eq!(outcome.data.len(), 1);
    assert_eq!(violations(&outcome.quarantine[0]), ["length "]);
    let kept = &outcome.quarantine[0]["raw_record"];
    assert!(record.starts_with(kept.as_str()) && kept.len() > 65_000 && kept.len() <= 65_536);
    assert!(outcome.quarantine[0]["violations"].contains(&format!("{} bytes, sha256 ", record.len())));
}

#[test]
fn no_pattern_takes_more_than_linear_time() {
    let hostile = Metric::of("string").with(|constraints| constraints.pattern = Some("^(a+)+$".to_owned()));
    reject(&hostile, &format!("\"{}!\"", "a".repeat(50_000)), "pattern");
}
