//! What the benches work on: the pages of a report like the guide's, and its plan.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, TimeDelta};
use cxlake::columns::{DecodePlan, PlanRequest, RecordTyper, TypedBatch, UnknownKeys};
use cxlake::cxone::split_page;
use cxlake::registry::{CatalogMetric, MetricStatus, ReportRequest, Selection, StandardColumnRequest, evolve};
use cxlake::vocabulary::{ColumnType, Constraints, ExactNumber, Page, snake_case};
use cxlake::window::Window;
use cxlake_simulator::TenantSettings;
use cxlake_simulator::truth::{Request, records};
use cxlake_sinks::parquet::{Codec, ParquetOptions, ParquetWriter, StagedFile};

const PAGE_RECORDS: usize = 10_000;
const GROUP_BY: [&str; 4] = ["interactionId", "agentId", "dispositionCode", "startTime"];
const METRICS: [&str; 4] = ["duration", "holdTime", "wrapUpTime", "talkTime"];

/// What the stages work on: the pages of a report, and how they are to be typed.
pub(crate) struct Report {
    pages: Vec<Bytes>,
    plan: Arc<DecodePlan>,
    window: Window,
}

impl Report {
    /// A report of so many records, with metrics beside the guide's.
    pub(crate) fn of(count: u64, extra_metrics: usize) -> Self {
        let settings = TenantSettings {
            records_per_day: count,
            extra_metrics,
            bad_every: 0,
            duplicate_every: 0,
            unknown_every: 0,
            ..TenantSettings::default()
        };
        let start = DateTime::from_timestamp(1_704_085_200, 0).unwrap();
        let date = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
        let window = Window { start, end: start + TimeDelta::days(1), date };
        let catalog: Vec<CatalogMetric> =
            settings.full_catalog().iter().filter(|metric| metric.status == "published").map(catalog_metric).collect();
        let request = Request {
            metrics: METRICS.map(str::to_owned).to_vec(),
            custom_metrics: catalog.iter().map(|metric| metric.id.clone()).collect(),
            group_by: GROUP_BY.map(str::to_owned).to_vec(),
            from_ms: window.start.timestamp_millis(),
            to_ms: window.end.timestamp_millis() - 1,
        };
        let texts: Vec<String> = records(&settings, &request).map(|record| record.raw).collect();
        let page = |texts: &[String]| {
            let (count, data) = (texts.len(), texts.join(","));
            Bytes::from(format!("{{\"totalRecords\":{},\"returnedRecords\":{count},\"data\":[{data}]}}", 100_000))
        };
        Self { pages: texts.chunks(PAGE_RECORDS).map(page).collect(), plan: plan(&catalog), window }
    }

    /// Typed pages, as they come from the scanner.
    pub(crate) fn scanned(&self) -> Vec<Page> {
        let scan = |body: &Bytes| {
            let envelope = split_page(body).unwrap();
            Page::new(0, body.clone(), envelope.records, envelope.deepest_record)
        };
        self.pages.iter().map(scan).collect()
    }

    pub(crate) fn typed(&self, pages: &[Page]) -> Vec<RecordBatch> {
        let mut typer = RecordTyper::new(Arc::clone(&self.plan), self.window, "America/New_York", 100_000);
        let mut batches = Vec::new();
        for page in pages {
            typer.page(page, &mut batches).unwrap();
        }
        let typed = typer.finish(&mut batches).unwrap();
        assert_eq!((typed.accepted, typed.quarantined), (typed.fetched, 0));
        let accepted = |batch| match batch {
            TypedBatch::Accepted(batch) => batch,
            TypedBatch::Quarantined(_) => unreachable!("no record was rejected"),
        };
        batches.into_iter().map(accepted).collect()
    }

    /// Writes batches into a Parquet file in a folder.
    pub(crate) fn encoded(&self, batches: &[RecordBatch], folder: &Path) -> StagedFile {
        let options = ParquetOptions {
            codec: Codec::Zstd(3),
            row_group_rows: 524_288,
            bloom_columns: vec!["interaction_id".to_owned()],
        };
        let mut writer = ParquetWriter::create(folder, Arc::clone(self.plan.schema()), &options).unwrap();
        for batch in batches {
            writer.write(batch).unwrap();
        }
        writer.finish(&[]).unwrap()
    }
}

fn catalog_metric(metric: &cxlake_simulator::Metric) -> CatalogMetric {
    let number = |number: &serde_json::Number| ExactNumber::parse(&number.to_string()).unwrap();
    CatalogMetric {
        id: metric.id.clone(),
        display_name: metric.display_name.clone(),
        data_type: metric.data_type.clone(),
        constraints: Constraints {
            minimum: metric.minimum.as_ref().map(number),
            maximum: metric.maximum.as_ref().map(number),
            allowed_values: serde_json::from_value(serde_json::json!(metric.allowed_values)).unwrap(),
            pattern: metric.pattern.clone(),
            max_length: metric.max_length,
            precision: metric.precision.map(u64::from),
            schema: None,
        },
        required: metric.required,
        status: MetricStatus::Published,
        reporting_groups: None,
    }
}

fn plan(catalog: &[CatalogMetric]) -> Arc<DecodePlan> {
    let standard = |source: &str, column_type| StandardColumnRequest {
        source: source.to_owned(),
        name: snake_case(source),
        column_type,
        required: source == "interactionId",
        constraints: Constraints::default(),
    };
    let group_by = |source: &str| match source {
        "startTime" => standard(source, ColumnType::Timestamp),
        _ => standard(source, ColumnType::String),
    };
    let report = ReportRequest {
        name: "calls".to_owned(),
        group: None,
        group_by: GROUP_BY.map(group_by).to_vec(),
        metrics: METRICS.map(|source| standard(source, ColumnType::Number)).to_vec(),
        custom_metrics: Selection::All,
    };
    let version = evolve("bench", None, catalog, &BTreeMap::new(), &[report], String::new()).unwrap().version;
    let request = PlanRequest {
        columns: &version.reports["calls"],
        registry_version: 1,
        key: &["interactionId".to_owned()],
        time_column: Some("startTime"),
        unknown_keys: UnknownKeys::Keep,
        max_record_bytes: 8 << 20,
    };
    Arc::new(DecodePlan::compile(request).unwrap())
}
