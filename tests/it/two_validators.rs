//! The fast path against the `jsonschema` crate: generated registries, hostile records, one verdict.
//!
//! What JSON Schema cannot say (what a column's type keeps exactly, names that come twice, texts that
//! are no Unicode, instants without an offset) may be rejected beyond it, never accepted against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use cxlake::columns::{DecodePlan, PlanRequest, RecordTyper, TypedBatch, UnknownKeys, Violation};
use cxlake::cxone::{Envelope, split_page};
use cxlake::registry::{
    CatalogMetric, MetricOverride, MetricStatus, RegistryVersion, ReportRequest, Selection, StandardColumnRequest,
    evolve,
};
use cxlake::vocabulary::{AllowedValue, ColumnType, Constraints, ExactNumber, Page};
use cxlake::window::Window;
use serde_json::{Value, json};

use crate::support::Random;

const RECORDS_PER_REGISTRY: u64 = 50;
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "decimal(20,4)", "timestamp", "date"];
const NUMBERS: [&str; 40] = [
    "0",
    "-0",
    "1",
    "-1",
    "5",
    "5.0",
    "5.00",
    "1e3",
    "1E+2",
    "100e-2",
    "0.1",
    "0.10",
    "0.5",
    "0.50000",
    "-0.0",
    "2.5",
    "10",
    "9.99",
    "1e-7",
    "12345678901234567890123",
    "9007199254740993",
    "9007199254740992",
    "9007199254740992.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "0.1000000000000000055511151231257827",
    "0.1000000000000000000000001",
    "99.9999",
    "99.99990",
    "1e30",
    "-1e30",
    "123456789012345.6789",
    "1e15",
    "1e22",
    "3.0000000000000000000000000000",
    "0e10",
    "1.5e1",
    "18446744073709551615",
    "4.35",
];
const PATTERNS: [&str; 6] = ["^a", "^[A-Z]{2}$", "\\d", "^\\w*$", "é", "^.{2,4}$"];

/// A registry of some columns and metrics with random rules.
fn registry(random: &mut Random) -> RegistryVersion {
    let mut overrides = BTreeMap::new();
    let catalog: Vec<CatalogMetric> = (0..3 + random.below(5))
        .map(|number| {
            let id = format!("cm_{number}");
            let column_type: ColumnType = random.one_of(&TYPES).parse().unwrap();
            let constraints = constraints(random, column_type);
            let schema = constraints.schema.clone();
            overrides.insert(
                id.clone(),
                MetricOverride { column_type: Some(column_type), schema, ..MetricOverride::default() },
            );
            CatalogMetric {
                display_name: format!("Metric {number}"),
                id,
                data_type: "string".to_owned(),
                constraints,
                required: random.once_in(3),
                status: MetricStatus::Published,
                reporting_groups: None,
            }
        })
        .collect();
    let standard = |source: &str, column_type: ColumnType, required, constraints| StandardColumnRequest {
        source: source.to_owned(),
        name: source.to_owned(),
        column_type,
        required,
        constraints,
    };
    let metrics = (0..random.below(4))
        .map(|number| {
            let column_type: ColumnType = random.one_of(&TYPES).parse().unwrap();
            let rules = constraints(random, column_type);
            standard(&format!("m{number}"), column_type, random.once_in(3), rules)
        })
        .collect();
    let report = ReportRequest {
        name: "calls".to_owned(),
        group: None,
        group_by: vec![standard("id", ColumnType::String, true, Constraints::default())],
        metrics,
        custom_metrics: Selection::All,
    };
    evolve("acme", None, &catalog, &overrides, &[report], String::new()).unwrap().version
}

fn constraints(random: &mut Random, column_type: ColumnType) -> Constraints {
    let mut rules = Constraints::default();
    // The second validator reads rules as float64 or int64: only such that it reads as they are.
    let kept = |text: &str| {
        let number = ExactNumber::parse(text)?;
        (text.parse::<i64>().is_ok() || number.to_float(text).is_ok()).then_some(number)
    };
    let number = |random: &mut Random| kept(random.one_of(&NUMBERS));
    match column_type {
        ColumnType::Number | ColumnType::Integer | ColumnType::Decimal { .. } => {
            rules.minimum = number(random).filter(|_| random.once_in(5));
            rules.maximum = number(random).filter(|_| random.once_in(5));
            if random.once_in(8) {
                let allowed = (0..3).filter_map(|_| number(random)).map(AllowedValue::Number);
                rules.allowed_values = Some(allowed.collect());
            }
            let exact = matches!(column_type, ColumnType::Decimal { .. });
            if random.once_in(5) && !exact {
                let further =
                    [json!({"multipleOf": 0.5}), json!({"exclusiveMinimum": 1}), json!({"not": {"const": 5}})];
                rules.schema = random.one_of(&further).as_object().cloned();
            }
        }
        ColumnType::String => {
            rules.pattern = random.once_in(3).then(|| random.one_of(&PATTERNS).to_owned());
            rules.max_length = random.once_in(3).then(|| random.below(5));
            if random.once_in(8) {
                let allowed = ["", "a", "AB", "é", "😀", "a\nb"].map(|text| AllowedValue::Text(text.to_owned()));
                rules.allowed_values = Some(allowed.to_vec());
            }
            if random.once_in(5) {
                let further = [json!({"minLength": 2}), json!({"anyOf": [{"maxLength": 1}, {"pattern": "^A"}]})];
                rules.schema = random.one_of(&further).as_object().cloned();
            }
        }
        ColumnType::Boolean => {
            rules.allowed_values = random.once_in(4).then(|| vec![AllowedValue::Boolean(random.once_in(2))]);
        }
        ColumnType::Timestamp | ColumnType::Date => {}
    }
    rules
}

fn string(random: &mut Random) -> String {
    let mut text = String::from("\"");
    for _ in 0..random.below(6) {
        match random.below(14) {
            0 => text.push_str("\\u0041"),
            1 => text.push_str("\\ud83d\\ude00"),
            2 => text.push_str("\\n"),
            3 => text.push_str("\\/"),
            4 => text.push_str("\\\\"),
            5 => text.push('é'),
            6 if random.once_in(10) => text.push_str("\\ud800"),
            7 => text.push_str("\\u0000"),
            8 => {
                let any = char::from_u32(u32::try_from(random.below(0x11_0000)).unwrap()).unwrap_or('x');
                // What JSON wants escaped is written so above.
                text.push(if any < ' ' || matches!(any, '"' | '\\') { 'x' } else { any });
            }
            9 => text.push_str(random.one_of(&["AB", "a", "2024-01-01", "2024-01-01T12:00:00Z"])),
            _ => text.push(random.one_of(&['a', 'A', 'Z', '1', ' ', '_'])),
        }
    }
    text.push('"');
    text
}

fn moment(random: &mut Random) -> String {
    let texts = [
        "2024-01-01",
        "2024-02-30",
        "2024-01-01T12:00:00Z",
        "2024-01-01T12:00:00+05:30",
        "2024-01-01T12:00:00",
        "2024-01-01T12:00:00.123456Z",
        "2024-01-01T12:00:00.1234567Z",
        "20240101",
        "",
    ];
    format!("\"{}\"", random.one_of(&texts))
}

fn fitting(random: &mut Random, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => string(random),
        ColumnType::Timestamp | ColumnType::Date => moment(random),
        ColumnType::Boolean => random.one_of(&["true", "false"]).to_owned(),
        ColumnType::Integer if random.below(4) > 0 => random.one_of(&["0", "5", "5.0", "1e3", "10"]).to_owned(),
        ColumnType::Number | ColumnType::Integer | ColumnType::Decimal { .. } => random.one_of(&NUMBERS).to_owned(),
    }
}

fn value(random: &mut Random, column_type: Option<ColumnType>, level: u64) -> String {
    if let Some(column_type) = column_type.filter(|_| random.below(8) > 0) {
        return fitting(random, column_type);
    }
    match random.below(9) {
        0 => "null".to_owned(),
        1 => string(random),
        2 => moment(random),
        3 if random.once_in(3) => "1e400".to_owned(),
        4 if level < 3 => format!("[{},{}]", value(random, None, level + 1), value(random, None, level + 1)),
        5 if level < 3 => {
            let inner = value(random, None, level + 1);
            format!("{{\"x\":{inner},\"{}\":1}}", random.one_of(&["x", "y", "z"]))
        }
        6 if random.once_in(10) => format!("{}{}", "[".repeat(70), "]".repeat(70)),
        7 => random.one_of(&["true", "false"]).to_owned(),
        _ => random.one_of(&NUMBERS).to_owned(),
    }
}

fn key(random: &mut Random, name: &str) -> String {
    match (random.once_in(10), name.split_at_checked(1)) {
        (true, Some((first, rest))) => format!("\"\\u{:04x}{rest}\"", first.as_bytes()[0]),
        _ => format!("\"{name}\""),
    }
}

/// The text of a record, right or wrong in any way.
fn record(random: &mut Random, version: &RegistryVersion, number: u64) -> String {
    if random.once_in(60) {
        return random.one_of(&["[]", "null", "5", "\"text\"", "{}", "true"]).to_owned();
    }
    // Most records of a tenant are right.
    let calm = random.below(3) > 0;
    let (mut top, mut custom) = (vec![format!("{}:\"r{number}\"", key(random, "id"))], Vec::new());
    for column in version.reports["calls"].columns.iter().filter(|column| column.requested && column.source != "id") {
        if !calm && random.once_in(8) || calm && !column.required && random.once_in(3) {
            continue;
        }
        let member = match (calm, random.once_in(10)) {
            (false, true) => "null".to_owned(),
            (true, _) => fitting(random, column.column_type),
            (false, false) => value(random, Some(column.column_type), 0),
        };
        let member = format!("{} :{member}", key(random, &column.source));
        let members = if column.source.starts_with("cm_") { &mut custom } else { &mut top };
        if !calm && random.once_in(40) {
            members.push(member.clone());
        }
        members.push(member);
    }
    for members in [&mut top, &mut custom] {
        if random.once_in(6) {
            let unknown = value(random, None, 0);
            members.push(format!("\"unknown\": {unknown}"));
        }
    }
    match random.below(if calm { 3000 } else { 30 }) {
        0 => {}
        1 => top.push(format!("\"customMetrics\":{}", value(random, None, 0))),
        _ => top.push(format!("\"customMetrics\":{{{}}}", custom.join(" , "))),
    }
    format!("{{{}}}", top.join(","))
}

/// The fast path's violations of each record.
fn fast(version: &RegistryVersion, records: &[String]) -> BTreeMap<u64, Vec<Violation>> {
    let plan = DecodePlan::compile(PlanRequest {
        columns: &version.reports["calls"],
        registry_version: 1,
        key: &["id".to_owned()],
        time_column: None,
        unknown_keys: UnknownKeys::Keep,
        max_record_bytes: 8 << 20,
    });
    let start = "2024-01-01T05:00:00Z".parse().unwrap();
    let window = Window { start, end: start + chrono::TimeDelta::days(1), date: "2024-01-01".parse().unwrap() };
    let mut typer = RecordTyper::new(Arc::new(plan.unwrap()), window, "America/New_York", records.len() as u64);
    let count = records.len();
    let body = Bytes::from(format!("{{\"totalRecords\":{count},\"data\":[{}]}}", records.join(",")));
    let Envelope { records, deepest_record, .. } = split_page(&body).unwrap();
    assert_eq!(records.len(), count);
    let page = Page::new(0, body, records, deepest_record);
    let mut batches = Vec::new();
    typer.page(&page, &mut batches).unwrap();
    typer.finish(&mut batches).unwrap();
    let mut violations = BTreeMap::new();
    for batch in &batches {
        let TypedBatch::Quarantined(batch) = batch else { continue };
        let offsets = batch.column_by_name("source_offset").unwrap().as_primitive::<Int64Type>();
        let texts = batch.column_by_name("violations").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            assert!(texts.is_valid(row));
            let offset = u64::try_from(offsets.value(row)).unwrap();
            violations.insert(offset, serde_json::from_str(texts.value(row)).unwrap());
        }
    }
    violations
}

/// Where the second validator finds fault, as JSON Pointers; missing members by their own.
fn slow(validator: &jsonschema::Validator, record: &Value) -> BTreeSet<String> {
    let pointer = |error: jsonschema::ValidationError<'_>| {
        let place = error.instance_path().to_string();
        match error.kind() {
            jsonschema::error::ValidationErrorKind::Required { property } => {
                format!("{place}/{}", property.as_str().unwrap_or_default())
            }
            _ => place,
        }
    };
    validator.iter_errors(record).map(pointer).collect()
}

/// Whether a violation is of a rule that JSON Schema, with numbers as float64, has no words for.
fn is_beyond_schema(violation: &Violation, record: &Value, version: &RegistryVersion) -> bool {
    let found = violation.found.as_deref().unwrap_or_default();
    let column = version.reports["calls"].columns.iter().find(|column| {
        violation.path == format!("/{}", column.source) || violation.path == format!("/customMetrics/{}", column.source)
    });
    match violation.rule.name() {
        // That of a further keyword shows the keywords.
        "precision" => !violation.expected.starts_with('{'),
        "encoding" | "duplicate_field" | "duplicate_key" => true,
        "range" if violation.expected.starts_with("within") => true,
        // The validator reads more digits than float64 keeps as another number.
        "range" | "enum" => ExactNumber::parse(found)
            .is_some_and(|number| found.parse::<i64>().is_err() && number.to_float(found).is_err()),
        "type" => {
            violation.path.is_empty() && record.is_object()
                || column.is_some_and(|column| {
                    matches!(column.column_type, ColumnType::Timestamp | ColumnType::Date) && found.starts_with('"')
                })
        }
        _ => false,
    }
}

#[test]
fn both_validators_agree_on_every_generated_record() {
    let cases: u64 = std::env::var("CXLAKE_TEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100_000);
    let (mut valid, mut invalid, mut unread) = (0_u64, 0_u64, 0_u64);
    for seed in 0..cases.div_ceil(RECORDS_PER_REGISTRY) {
        let mut random = Random(seed);
        let version = registry(&mut random);
        let schema: Value = serde_json::from_str(version.reports["calls"].record_schema.get()).unwrap();
        let options = jsonschema::draft7::options().with_pattern_options(jsonschema::PatternOptions::regex());
        let validator = options.build(&schema).unwrap();
        let records: Vec<String> =
            (0..RECORDS_PER_REGISTRY).map(|number| record(&mut random, &version, number)).collect();
        let rejected = fast(&version, &records);
        for (offset, text) in (0..).zip(&records) {
            let violations = rejected.get(&offset).map(Vec::as_slice).unwrap_or_default();
            let Ok(parsed) = serde_json::from_str::<Value>(text) else {
                unread += 1;
                continue;
            };
            let told = || format!("seed {seed}, record {offset}: {text}\n{schema}\nfast: {violations:?}");
            let faults = slow(&validator, &parsed);
            if faults.is_empty() {
                valid += 1
            } else {
                invalid += 1
            }
            let structural = violations
                .iter()
                .any(|violation| violation.path.is_empty() || violation.rule.name() == "duplicate_field");
            for fault in faults.iter().filter(|_| !structural) {
                let seen = violations
                    .iter()
                    .any(|violation| violation.path == *fault || violation.path.starts_with(&format!("{fault}/")));
                assert!(seen, "the schema finds fault at {fault:?}, the fast path does not; {}", told());
            }
            assert!(faults.is_empty() || !violations.is_empty(), "{}", told());
            for violation in violations.iter().filter(|violation| !is_beyond_schema(violation, &parsed, &version)) {
                let seen = faults
                    .iter()
                    .any(|fault| violation.path == *fault || violation.path.starts_with(&format!("{fault}/")));
                assert!(
                    seen,
                    "the fast path finds fault at {violation:?}, the schema does not: {faults:?}; {}",
                    told()
                );
            }
        }
    }
    assert!(
        valid * 20 > cases && invalid * 20 > cases && unread * 4 < cases,
        "{valid} valid, {invalid} not, {unread} unread"
    );
}
