//! What a Rust programmer would write first: reqwest, `serde_json::Value`, arrow-json and parquet.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use reqwest::blocking::Client;
use serde_json::{Map, Value, json};

const METRICS: [&str; 4] = ["duration", "holdTime", "wrapUpTime", "talkTime"];
const GROUP_BY: [&str; 4] = ["interactionId", "agentId", "dispositionCode", "startTime"];
const PAGE: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let (url, out) = (&arguments[1], &arguments[2]);
    let client = Client::new();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "bench"),
        ("client_secret", "bench"),
        ("scope", "api:reporting:read api:data-download:read api:custom-metrics:read"),
    ];
    let token: Value = client.post(format!("{url}/api/v2/oauth/token")).form(&form).send()?.error_for_status()?.json()?;
    let token = token["access_token"].as_str().unwrap_or_default();
    let catalog = client.get(format!("{url}/api/v2/reporting/custom-metrics")).bearer_auth(token);
    let catalog: Value = catalog.send()?.error_for_status()?.json()?;
    let custom: Vec<(String, DataType)> = catalog["customMetrics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|metric| metric["status"] == "published")
        .map(|metric| (metric["id"].as_str().unwrap_or_default().to_owned(), data_type(&metric["dataType"])))
        .collect();
    let schema = Arc::new(schema(&custom));
    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(compression).build();
    let file = File::create(format!("{out}/data.parquet"))?;
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties))?;
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(8192).build_decoder()?;
    let ids: Vec<&String> = custom.iter().map(|(id, _)| id).collect();
    let (mut offset, mut total) = (0, 1);
    while offset < total {
        let body = json!({
            "report": "Interaction/Call", "metrics": METRICS, "customMetrics": ids, "groupBy": GROUP_BY,
            "filter": {
                "date": {"from": "2024-01-01T05:00:00.000Z", "to": "2024-01-02T04:59:59.999Z"},
                "timeZone": "America/New_York"
            },
            "limit": PAGE, "offset": offset,
        });
        let answer = client.post(format!("{url}/api/v2/reporting/data-download")).bearer_auth(token).json(&body).send()?;
        let mut page: Value = serde_json::from_slice(&answer.error_for_status()?.bytes()?)?;
        total = page["totalRecords"].as_u64().unwrap_or_default();
        let Value::Array(records) = page["data"].take() else { return Err("no data".into()) };
        let rows: Vec<Map<String, Value>> = records.into_iter().map(flat).collect();
        for chunk in rows.chunks(8192) {
            decoder.serialize(chunk)?;
            if let Some(batch) = decoder.flush()? {
                writer.write(&batch)?;
            }
        }
        offset += PAGE;
    }
    writer.close()?;
    Ok(())
}

/// The custom metrics beside the other keys.
fn flat(record: Value) -> Map<String, Value> {
    let Value::Object(mut record) = record else { return Map::new() };
    if let Some(Value::Object(custom)) = record.remove("customMetrics") {
        record.extend(custom);
    }
    record
}

fn schema(custom: &[(String, DataType)]) -> Schema {
    let mut fields: Vec<Field> = GROUP_BY[..3].iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    fields.push(Field::new("startTime", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true));
    fields.extend(METRICS.iter().map(|name| Field::new(*name, DataType::Float64, true)));
    fields.extend(custom.iter().map(|(id, kind)| Field::new(id, kind.clone(), true)));
    Schema::new(fields)
}

fn data_type(name: &Value) -> DataType {
    match name.as_str() {
        Some("number") => DataType::Float64,
        Some("integer") => DataType::Int64,
        Some("boolean") => DataType::Boolean,
        _ => DataType::Utf8,
    }
}
