//! The typed decoder against a slow, obvious oracle: the same verdict, and the same values.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, ToPrimitive};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta};
use cxlake::columns::{DecodePlan, PlanRequest, RecordTyper, TypedBatch, UnknownKeys};
use cxlake::registry::{RegistryVersion, ReportRequest, Selection, StandardColumnRequest, evolve};
use cxlake::vocabulary::json::value_end;
use cxlake::vocabulary::{ColumnType, Constraints, ExactNumber, Page};
use cxlake::window::Window;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Each type, once free and once with rules. The letter is the column's key.
const COLUMNS: [(&str, &str); 8] = [
    ("s", "string"),
    ("n", "number"),
    ("i", "integer"),
    ("b", "boolean"),
    ("d", "decimal(12,3)"),
    ("t", "timestamp"),
    ("y", "date"),
    ("m", "number"),
];

fn plan() -> Arc<DecodePlan> {
    static PLAN: OnceLock<Arc<DecodePlan>> = OnceLock::new();
    Arc::clone(PLAN.get_or_init(|| {
        let column = |(source, column_type): (&str, &str)| StandardColumnRequest {
            source: source.to_owned(),
            name: source.to_owned(),
            column_type: column_type.parse().unwrap(),
            required: source == "s",
            constraints: if source == "m" { bounded() } else { Constraints::default() },
        };
        let report = ReportRequest {
            name: "calls".to_owned(),
            group: None,
            group_by: COLUMNS.map(column).to_vec(),
            metrics: Vec::new(),
            custom_metrics: Selection::All,
        };
        let version: RegistryVersion =
            evolve("acme", None, &[], &BTreeMap::new(), &[report], String::new()).unwrap().version;
        let plan = DecodePlan::compile(PlanRequest {
            columns: &version.reports["calls"],
            registry_version: 1,
            key: &["s".to_owned()],
            time_column: None,
            unknown_keys: UnknownKeys::Keep,
            max_record_bytes: 8 << 20,
        });
        Arc::new(plan.unwrap())
    }))
}

fn bounded() -> Constraints {
    let number = |text| ExactNumber::parse(text);
    Constraints { minimum: number("-1.5"), maximum: number("1e3"), precision: Some(2), ..Constraints::default() }
}

/// The members of an object in their order, repeated names too.
struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// Whether names come twice anywhere in a value, or it holds no Unicode text.
fn is_clean(raw: &str) -> bool {
    match raw.as_bytes()[0] {
        b'{' => serde_json::from_str::<Members>(raw).is_ok_and(|members| members.is_clean()),
        b'[' => {
            serde_json::from_str::<Vec<&RawValue>>(raw).unwrap().into_iter().all(|element| is_clean(element.get()))
        }
        _ => true,
    }
}

impl Members {
    fn is_clean(&self) -> bool {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        names.len() == count && self.0.iter().all(|(_, value)| is_clean(value.get()))
    }
}

/// The exact value of a number, if its exponent is one that anybody writes.
fn exact(raw: &str) -> Option<BigDecimal> {
    // Zero is zero, whatever its exponent.
    let mantissa = raw.split(['e', 'E']).next().unwrap_or_default();
    if !mantissa.contains(|character: char| matches!(character, '1'..='9')) {
        return Some(BigDecimal::from(0));
    }
    let exponent = raw.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
    let exponent: i64 = exponent.parse().ok()?;
    (exponent.abs() < 2_000 && raw.len() < 2_000).then(|| raw.parse().unwrap())
}

/// What the oracle makes of a value: the text of what a column holds, or `None` for a reject.
fn judge(column: &str, column_type: ColumnType, raw: &str) -> Option<String> {
    let first = raw.as_bytes()[0];
    let text = || serde_json::from_str::<String>(raw).ok();
    let number = || matches!(first, b'-' | b'0'..=b'9').then(|| exact(raw)).flatten();
    match column_type {
        ColumnType::String => text(),
        ColumnType::Boolean => matches!(raw, "true" | "false").then(|| raw.to_owned()),
        ColumnType::Integer => {
            let number = number()?;
            if !number.is_integer() {
                return None;
            }
            number.to_i64().map(|whole| whole.to_string())
        }
        ColumnType::Decimal { precision, scale } => {
            let unscaled = number()? * BigDecimal::new(BigInt::from(10).pow(u32::from(scale)), 0);
            let unscaled = unscaled.is_integer().then(|| unscaled.with_scale(0))?;
            let digits = unscaled.to_string().trim_start_matches('-').len();
            (digits <= usize::from(precision)).then(|| unscaled.to_string())
        }
        ColumnType::Number => {
            let number = number()?;
            let float: f64 = raw.parse().unwrap();
            let shortest: BigDecimal = if float.is_finite() { float.to_string().parse().unwrap() } else { return None };
            let bounds = ("-1.5".parse::<BigDecimal>().unwrap(), BigDecimal::from(1000));
            // Where two shortest forms are equally near, either is one.
            let exact = BigDecimal::try_from(float).unwrap();
            let is_as_near = (&number - &exact).abs() == (&shortest - &exact).abs();
            let kept = shortest == number || (is_as_near && number.normalized().digits() <= shortest.normalized().digits());
            let ruled = column != "m" || (bounds.0 <= number && number <= bounds.1 && number.normalized().fractional_digit_count() <= 2);
            (kept && ruled).then(|| format!("{:x}", if float == 0.0 { 0 } else { float.to_bits() }))
        }
        ColumnType::Date => {
            let text = text()?;
            let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
            (date.format("%Y-%m-%d").to_string() == text).then(|| date.to_epoch_days().to_string())
        }
        ColumnType::Timestamp => None,
    }
}

fn cell(column: &dyn Array, column_type: ColumnType) -> Option<String> {
    if column.is_null(0) {
        return None;
    }
    Some(match column_type {
        ColumnType::String => column.as_string::<i32>().value(0).to_owned(),
        ColumnType::Boolean => column.as_boolean().value(0).to_string(),
        ColumnType::Integer => column.as_primitive::<Int64Type>().value(0).to_string(),
        ColumnType::Decimal { .. } => column.as_primitive::<Decimal128Type>().value(0).to_string(),
        ColumnType::Number => {
            let float = column.as_primitive::<Float64Type>().value(0);
            format!("{:x}", if float == 0.0 { 0 } else { float.to_bits() })
        }
        ColumnType::Date => column.as_primitive::<Date32Type>().value(0).to_string(),
        ColumnType::Timestamp => column.as_primitive::<TimestampMicrosecondType>().value(0).to_string(),
    })
}

fn typed(record: &[u8]) -> Vec<TypedBatch> {
    let start = DateTime::from_timestamp(1_704_085_200, 0).unwrap();
    let window = Window { start, end: start + TimeDelta::days(1), date: NaiveDate::from_ymd_opt(2024, 1, 1).unwrap() };
    let mut typer = RecordTyper::new(plan(), window, "America/New_York", 1);
    // As the scan of a page knows it.
    let deepest_record = match value_end(record, 0) {
        Ok((end, depth)) if end == record.len() => depth,
        _ => usize::MAX,
    };
    let page = Page::new(0, Bytes::copy_from_slice(record), vec![0..record.len()], deepest_record);
    let mut batches = Vec::new();
    typer.page(&page, &mut batches).unwrap();
    let typed = typer.finish(&mut batches).unwrap();
    assert_eq!(typed.accepted + typed.quarantined, 1);
    batches
}

fuzz_target!(|record: &[u8]| {
    // A page's records follow the grammar, or the page is fetched again.
    let Ok(text) = std::str::from_utf8(record) else { return };
    if record.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() > 60
        || serde_json::from_str::<&RawValue>(text).is_ok_and(|raw| raw.get() != text)
        || serde_json::from_str::<&RawValue>(text).is_err()
    {
        return;
    }
    let batches = typed(record);
    let members = serde_json::from_str::<Members>(text);
    let [batch] = batches.as_slice() else { panic!("one record is one row") };
    match (batch, members) {
        (TypedBatch::Quarantined(batch), members) => {
            assert_eq!(batch.column_by_name("raw_record").unwrap().as_string::<i32>().value(0), text);
            let Ok(members) = members else { return };
            // Instants have an oracle of their own in the unit tests.
            let explained = !members.is_clean()
                || text.contains("\\u")
                || members.0.iter().any(|(name, value)| name == "customMetrics" && !value.get().starts_with('{'))
                || !members.0.iter().any(|(name, value)| name == "s" && value.get() != "null")
                || members.0.iter().filter(|(_, value)| value.get() != "null").any(|(name, value)| {
                    let column = COLUMNS.iter().find(|(source, _)| source == name);
                    column.is_some_and(|(source, column_type)| {
                        judge(source, column_type.parse().unwrap(), value.get()).is_none()
                    })
                });
            assert!(explained, "the oracle sees nothing wrong: {text}");
        }
        (TypedBatch::Accepted(batch), members) => {
            // A key that nobody asked for is kept as it is written, half a surrogate pair too.
            if members.is_err() && text.contains("\\u") {
                return;
            }
            let members = members.expect("an accepted record is an object of Unicode text");
            assert!(members.is_clean() || text.contains("\\u"), "a name comes twice: {text}");
            for (source, column_type) in COLUMNS {
                let column_type: ColumnType = column_type.parse().unwrap();
                if column_type == ColumnType::Timestamp {
                    continue;
                }
                let value = members.0.iter().find(|(name, _)| name == source);
                let value = value.filter(|(_, value)| value.get() != "null");
                let expected = value.map(|(_, value)| {
                    judge(source, column_type, value.get()).unwrap_or_else(|| panic!("{source} is wrong: {text}"))
                });
                let found = cell(batch.column_by_name(source).unwrap(), column_type);
                assert_eq!(found, expected, "{source}: {text}");
            }
        }
    }
});
