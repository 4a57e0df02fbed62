//! Traces and metrics of a run by OTLP, over HTTP, as OpenTelemetry's variables ask for
//! (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>).

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::run::Metric;
use crate::run::summary::{RunStatus, Summary};

/// How long an export may take: the run itself is over.
const EXPORT_PATIENCE: Duration = Duration::from_secs(5);
/// How long both exports may take, which go at the same time.
const PATIENCE: Duration = Duration::from_secs(7);
/// How long the stages of a run that was stopped have to come to an end, for their spans hold others open.
const STAGES_PATIENCE: Duration = Duration::from_millis(500);

/// Where this process's traces and metrics go; set once, before the runtime starts.
static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

/// Exporters that run on threads of their own.
#[derive(Debug)]
struct Telemetry {
    traces: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    /// The trace that this run is a part of.
    parent: Context,
    /// The trace's id, where it is a part of none.
    own_trace: TraceId,
}

/// Reads the variables, and what is wrong with them. To be called before logs are started.
pub(super) fn start(run_id: uuid::Uuid, variable: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut problems = Vec::new();
    let wanted = |signal: &str| {
        let has_endpoint = given("OTEL_EXPORTER_OTLP_ENDPOINT")
            .or_else(|| given(&format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")))
            .is_some();
        let exporter = given(&format!("OTEL_{signal}_EXPORTER"));
        has_endpoint && exporter.is_none_or(|exporter| exporter == "otlp")
    };
    if given("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return problems;
    }
    let traces = wanted("TRACES").then(|| SpanExporter::builder().with_http().build());
    let metrics = wanted("METRICS").then(|| MetricExporter::builder().with_http().build());
    if traces.is_none() && metrics.is_none() {
        return problems;
    }
    if let Some(protocol) = given("OTEL_EXPORTER_OTLP_PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
        problems.push(format!("OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and only http/protobuf is spoken"));
    }
    let mut built = |name: &str, problem: String| problems.push(format!("no {name} are exported: {problem}"));
    let resource = resource(run_id, &given);
    let own_trace = TraceId::from_bytes(twox_hash::XxHash3_128::oneshot(run_id.as_bytes()).to_be_bytes());
    let traces = traces.and_then(|exporter| exporter.map_err(|error| built("traces", error.to_string())).ok());
    let metrics = metrics.and_then(|exporter| exporter.map_err(|error| built("metrics", error.to_string())).ok());
    let telemetry = Telemetry {
        traces: traces.map(|exporter| {
            let ids = OneTrace { trace: own_trace, random: RandomIdGenerator::default() };
            let provider = SdkTracerProvider::builder().with_resource(resource.clone()).with_id_generator(ids);
            provider.with_batch_exporter(exporter).build()
        }),
        metrics: metrics.map(|exporter| {
            SdkMeterProvider::builder().with_resource(resource).with_periodic_exporter(exporter).build()
        }),
        parent: parent(&given),
        own_trace,
    };
    // It is called once.
    let _only_once = TELEMETRY.set(telemetry);
    problems
}

/// What the exported is of: `service.name` is cxlake, where the variables do not name another.
fn resource(run_id: uuid::Uuid, given: &dyn Fn(&str) -> Option<String>) -> Resource {
    let attributes = given("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named = given("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name=");
    // Runs at the same time are instances of their own: else a metric of one would replace another's.
    let resource = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", run_id.to_string()),
    ]);
    if is_named { resource.build() } else { resource.with_service_name("cxlake").build() }
}

/// The context that the environment carries
/// (<https://opentelemetry.io/docs/specs/otel/context/env-carriers/>).
fn parent(given: &dyn Fn(&str) -> Option<String>) -> Context {
    let names = [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")];
    let carrier: HashMap<String, String> =
        names.into_iter().filter_map(|(key, name)| Some((key.to_owned(), given(name)?))).collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

/// A run is one trace, whose id is made of the run's: by a hash, for samplers take ids to be random.
#[derive(Debug)]
struct OneTrace {
    trace: TraceId,
    random: RandomIdGenerator,
}

impl IdGenerator for OneTrace {
    fn new_trace_id(&self) -> TraceId {
        self.trace
    }

    fn new_span_id(&self) -> SpanId {
        self.random.new_span_id()
    }
}

/// The id of the run's trace, for the log; `None` where it is not exported.
pub(super) fn trace_id() -> Option<String> {
    let telemetry = TELEMETRY.get().filter(|telemetry| telemetry.traces.is_some())?;
    let parent = telemetry.parent.span().span_context().trace_id();
    Some(if parent == TraceId::INVALID { telemetry.own_trace } else { parent }.to_string())
}

/// The layer that turns our spans into a trace's.
pub(super) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>() -> Option<impl Layer<S>> {
    let tracer = TELEMETRY.get()?.traces.as_ref()?.tracer("cxlake");
    let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("cxlake"));
    Some(
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(ours),
    )
}

/// The span of a whole command.
pub(super) fn root(command: &'static str, run_id: &str) -> Span {
    let span = tracing::info_span!(
        "command",
        otel.name = command,
        run_id,
        exit_code = tracing::field::Empty,
        otel.status_code = tracing::field::Empty,
        otel.status_description = tracing::field::Empty
    );
    if let Some(telemetry) = TELEMETRY.get() {
        // A span that no layer takes has no parent to be given.
        let _not_exported = span.set_parent(telemetry.parent.clone());
    }
    span
}

/// Exports what is left, and the run's metrics. Nothing of this fails a run.
pub(super) async fn end(root: Span, summary: &Summary, metrics: Vec<Metric>) {
    root.record("exit_code", i64::from(summary.exit_code));
    if let Some(error) = &summary.error {
        root.record("otel.status_code", "ERROR").record("otel.status_description", &error.message);
    }
    drop(root);
    let Some(telemetry) = TELEMETRY.get() else { return };
    if summary.status == RunStatus::Interrupted {
        tokio::time::sleep(STAGES_PATIENCE).await;
    }
    // The exporters' threads are waited for.
    let traces = tokio::task::spawn_blocking(|| telemetry.end_traces());
    let metrics = tokio::task::spawn_blocking(move || telemetry.end_metrics(&metrics));
    if tokio::time::timeout(PATIENCE, futures::future::join(traces, metrics)).await.is_err() {
        tracing::warn!(seconds = PATIENCE.as_secs(), "exporting telemetry takes too long: the rest was not exported");
    }
}

impl Telemetry {
    fn end_traces(&self) {
        if let Some(provider) = &self.traces
            && let Err(error) = provider.shutdown_with_timeout(EXPORT_PATIENCE)
        {
            tracing::warn!(%error, "the run's trace was not exported");
        }
    }

    fn end_metrics(&self, metrics: &[Metric]) {
        let Some(provider) = &self.metrics else { return };
        let meter = provider.meter("cxlake");
        for Metric { name, help, samples } in metrics {
            let gauge = meter.f64_gauge(*name).with_description(*help).build();
            for (labels, value) in samples {
                let labels: Vec<KeyValue> =
                    labels.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
                gauge.record(*value, &labels);
            }
        }
        if let Err(error) = provider.shutdown_with_timeout(EXPORT_PATIENCE) {
            tracing::warn!(%error, "the run's metrics were not exported");
        }
    }
}
