//! The JSON Schema of a record (draft-07, as in the guide's section 4), so that anyone can check
//! records with any validator. What JSON Schema cannot say (digits after the point, what float64
//! keeps, the key rule) is checked by [`crate::columns`] alone.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::version::{Column, ColumnOrigin};
use crate::vocabulary::{AllowedValue, ColumnType, ExactNumber};

#[derive(Serialize)]
struct Schema<'a> {
    #[serde(rename = "$schema")]
    dialect: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    properties: BTreeMap<&'a str, Property<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Property<'a> {
    Value(Box<Value<'a>>),
    Object {
        #[serde(rename = "type")]
        kind: &'static str,
        properties: BTreeMap<&'a str, Property<'a>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        required: Vec<&'a str>,
    },
}

#[derive(Default, Serialize)]
struct Value<'a> {
    #[serde(rename = "type")]
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<ExactNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<ExactNumber>,
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    allowed_values: Option<Vec<AllowedValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a str>,
    #[serde(rename = "maxLength", skip_serializing_if = "Option::is_none")]
    max_length: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    /// Further keywords stand apart, for they may say again what stands beside them.
    #[serde(rename = "allOf", skip_serializing_if = "Option::is_none")]
    all_of: Option<[serde_json::Map<String, serde_json::Value>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

pub(super) fn record_schema(columns: &[Column]) -> Box<RawValue> {
    let of_origin = |custom: bool| {
        columns.iter().filter(move |column| {
            column.requested
                && match column.origin {
                    ColumnOrigin::CustomMetric => custom,
                    ColumnOrigin::GroupBy | ColumnOrigin::Metric => !custom,
                    ColumnOrigin::ReportDate | ColumnOrigin::Unmapped | ColumnOrigin::SchemaVersion => false,
                }
        })
    };
    let required = |custom| -> Vec<&str> {
        // Where a key had other spellings, any of them will do.
        let required = of_origin(custom).filter(|column| column.required && column.earlier_sources.is_empty());
        required.map(|column| column.source.as_str()).collect()
    };
    let properties = |custom| -> BTreeMap<&str, Property<'_>> {
        let mut properties = BTreeMap::new();
        for column in of_origin(custom) {
            // A spelling that is a key of its own now is that.
            for spelling in &column.earlier_sources {
                properties.entry(spelling.as_str()).or_insert_with(|| Property::Value(Box::new(value(column))));
            }
        }
        properties
            .extend(of_origin(custom).map(|column| (column.source.as_str(), Property::Value(Box::new(value(column))))));
        properties
    };
    let mut top = properties(false);
    let mut top_required = required(false);
    let custom_required = required(true);
    if !custom_required.is_empty() {
        top_required.push("customMetrics");
    }
    let custom = Property::Object { kind: "object", properties: properties(true), required: custom_required };
    top.insert("customMetrics", custom);
    let schema = Schema {
        dialect: "http://json-schema.org/draft-07/schema#",
        kind: "object",
        properties: top,
        required: top_required,
    };
    serde_json::value::to_raw_value(&schema).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn value(column: &Column) -> Value<'_> {
    let constraints = &column.constraints;
    let mut value = Value {
        minimum: constraints.minimum.clone(),
        maximum: constraints.maximum.clone(),
        allowed_values: constraints.allowed_values.clone(),
        pattern: constraints.pattern.as_deref(),
        max_length: constraints.max_length,
        all_of: constraints.schema.as_ref().map(|schema| [further(schema, column.required)]),
        description: column.display_name.as_deref(),
        ..Value::default()
    };
    value.kinds.push(match column.column_type {
        ColumnType::String | ColumnType::Timestamp | ColumnType::Date => "string",
        ColumnType::Number | ColumnType::Decimal { .. } => "number",
        ColumnType::Integer => "integer",
        ColumnType::Boolean => "boolean",
    });
    match column.column_type {
        ColumnType::Timestamp => value.format = Some("date-time"),
        ColumnType::Date => value.format = Some("date"),
        _ => {}
    }
    if !column.required {
        value.kinds.push("null");
        if let Some(allowed) = &mut value.allowed_values {
            allowed.push(AllowedValue::Other(serde_json::Value::Null));
        }
    }
    value
}

/// Further keywords; where a value may be null they do not concern it then.
fn further(
    schema: &serde_json::Map<String, serde_json::Value>,
    required: bool,
) -> serde_json::Map<String, serde_json::Value> {
    if required {
        return schema.clone();
    }
    let either = serde_json::json!([{"type": "null"}, schema]);
    std::iter::once(("anyOf".to_owned(), either)).collect()
}
