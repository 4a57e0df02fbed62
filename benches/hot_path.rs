//! The hot path's stages, each alone and on one core: 100,000 records like the guide's, or 20,000 of
//! 48 custom metrics. `make bench` compares the whole with other tools.

#![expect(clippy::unwrap_used, reason = "what fails here is the bench itself")]

use std::collections::BTreeMap;
use std::hint::black_box;
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
use cxlake_sinks::parquet::{Codec, ParquetOptions, ParquetWriter};
use divan::Bencher;

const PAGE_RECORDS: usize = 10_000;
const GROUP_BY: [&str; 4] = ["interactionId", "agentId", "dispositionCode", "startTime"];
const METRICS: [&str; 4] = ["duration", "holdTime", "wrapUpTime", "talkTime"];

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() {
    divan::main();
}

/// Which records.
#[derive(Clone, Copy, Debug)]
enum Profile {
    Guide,
    Wide,
}

const PROFILES: [Profile; 2] = [Profile::Guide, Profile::Wide];

/// What the stages work on: the pages of a report, and how they are to be typed.
struct Report {
    pages: Vec<Bytes>,
    plan: Arc<DecodePlan>,
    window: Window,
}

impl Report {
    fn of(profile: Profile) -> Self {
        let (count, extra_metrics) = match profile {
            Profile::Guide => (100_000, 0),
            Profile::Wide => (20_000, 40),
        };
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
    fn scanned(&self) -> Vec<Page> {
        let scan = |body: &Bytes| {
            let envelope = split_page(body).unwrap();
            Page {
                first_offset: 0,
                body: body.clone(),
                records: envelope.records,
                deepest_record: envelope.deepest_record,
                not_utf8: false,
            }
        };
        self.pages.iter().map(scan).collect()
    }

    fn typed(&self, pages: &[Page]) -> Vec<RecordBatch> {
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

/// From a page's bytes to where its records are.
#[divan::bench(args = PROFILES)]
fn scan(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = Report::of(profile);
    bencher.bench_local(|| report.scanned());
}

/// From the records' texts to batches, all rules on.
#[divan::bench(args = PROFILES)]
fn type_records(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = Report::of(profile);
    let pages = report.scanned();
    bencher.bench_local(|| report.typed(&pages));
}

/// From batches to a Parquet file in a temporary folder.
#[divan::bench(args = PROFILES)]
fn encode(bencher: Bencher<'_, '_>, profile: Profile) {
    let report = Report::of(profile);
    let batches = report.typed(&report.scanned());
    let folder = tempfile::tempdir().unwrap();
    let options = ParquetOptions {
        codec: Codec::Zstd(3),
        row_group_rows: 524_288,
        bloom_columns: vec!["interaction_id".to_owned()],
    };
    bencher.bench_local(|| {
        let mut writer = ParquetWriter::create(folder.path(), Arc::clone(report.plan.schema()), &options).unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
        }
        writer.finish(&[]).unwrap()
    });
}

/// Literals as scores and durations have them, and one that only the exact way can read.
#[divan::bench(args = ["0", "412", "0.8712", "-1034.25", "9007199254740993", "0.12345678901234567890123"])]
fn read_number(literal: &str) -> Option<ExactNumber> {
    ExactNumber::parse(black_box(literal))
}
