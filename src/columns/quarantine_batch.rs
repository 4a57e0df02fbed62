//! Rejected records with their exact text, in one fixed schema (contract, "Quarantine columns").

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    BinaryBuilder, Date32Array, Int32Array, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;

use super::violation::Violation;
use crate::window::Window;

/// Days between the first day of chrono's calendar era and 1970-01-01 are chrono's to know.
pub(super) fn epoch_days(window: &Window) -> i32 {
    window.date.to_epoch_days()
}

/// The schema of quarantine files. Its field ids never change.
pub fn quarantine_schema() -> SchemaRef {
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns = [
        ("report_date", DataType::Date32),
        ("window_start", instant.clone()),
        ("window_end", instant),
        ("source_offset", DataType::Int64),
        ("record_key", DataType::Utf8),
        ("rule", DataType::Utf8),
        ("path", DataType::Utf8),
        ("violations", DataType::Utf8),
        ("raw_record", DataType::Utf8),
        ("raw_bytes", DataType::Binary),
        ("schema_version", DataType::Int32),
    ];
    let field = |(index, (name, data_type)): (usize, (&str, DataType))| {
        let id = HashMap::from([("PARQUET:field_id".to_owned(), (index + 1).to_string())]);
        Field::new(name, data_type, true).with_metadata(id)
    };
    Arc::new(Schema::new(columns.into_iter().enumerate().map(field).collect::<Vec<_>>()))
}

/// Rejects on their way into a batch.
#[derive(Debug)]
pub(super) struct QuarantineBatch {
    window: Window,
    schema_version: i32,
    source_offset: Int64Builder,
    record_key: StringBuilder,
    rule: StringBuilder,
    path: StringBuilder,
    violations: StringBuilder,
    raw_record: StringBuilder,
    raw_bytes: BinaryBuilder,
    rows: usize,
    bytes: usize,
}

impl QuarantineBatch {
    pub(super) fn new(window: Window, registry_version: u32) -> Self {
        Self {
            window,
            schema_version: i32::try_from(registry_version).unwrap_or(i32::MAX),
            source_offset: Int64Builder::new(),
            record_key: StringBuilder::new(),
            rule: StringBuilder::new(),
            path: StringBuilder::new(),
            violations: StringBuilder::new(),
            raw_record: StringBuilder::new(),
            raw_bytes: BinaryBuilder::new(),
            rows: 0,
            bytes: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the exact texts and of what is wrong with them so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn append(&mut self, offset: u64, key: Option<&str>, record: &[u8], violations: &[Violation]) {
        self.source_offset.append_value(i64::try_from(offset).unwrap_or(i64::MAX));
        self.record_key.append_option(key);
        let first = violations.first();
        self.rule.append_option(first.map(|violation| violation.rule.name()));
        self.path.append_option(first.map(|violation| violation.path.as_str()));
        let violations = serde_json::to_string(violations).unwrap_or_default();
        self.violations.append_value(&violations);
        match std::str::from_utf8(record) {
            Ok(text) => {
                self.raw_record.append_value(text);
                self.raw_bytes.append_null();
            }
            Err(_) => {
                self.raw_record.append_null();
                self.raw_bytes.append_value(record);
            }
        }
        self.rows += 1;
        self.bytes += record.len() + violations.len();
    }

    /// The rejects so far as a batch; the builders begin anew.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let instant = |instant: chrono::DateTime<chrono::Utc>| {
            TimestampMicrosecondArray::from_value(instant.timestamp_micros(), rows).with_timezone("UTC")
        };
        RecordBatch::try_new(
            quarantine_schema(),
            vec![
                Arc::new(Date32Array::from_value(epoch_days(&self.window), rows)),
                Arc::new(instant(self.window.start)),
                Arc::new(instant(self.window.end)),
                Arc::new(self.source_offset.finish()),
                Arc::new(self.record_key.finish()),
                Arc::new(self.rule.finish()),
                Arc::new(self.path.finish()),
                Arc::new(self.violations.finish()),
                Arc::new(self.raw_record.finish()),
                Arc::new(self.raw_bytes.finish()),
                Arc::new(Int32Array::from_value(self.schema_version, rows)),
            ],
        )
    }
}
