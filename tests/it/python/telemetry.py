"""Prints the spans and metrics of exported OTLP requests, as OpenTelemetry's own Python types read them.

Usage: telemetry.py TRACES METRICS, files of requests in protobuf.
"""
import json
import sys

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def read(message, path):
    with open(path, "rb") as file:
        message.ParseFromString(file.read())
    return message


def value(of):
    return getattr(of, of.WhichOneof("value"))


def attributes(of):
    return {attribute.key: value(attribute.value) for attribute in of}


traces = read(ExportTraceServiceRequest(), sys.argv[1]).resource_spans
metrics = read(ExportMetricsServiceRequest(), sys.argv[2]).resource_metrics
spans = [span for resource in traces for scope in resource.scope_spans for span in scope.spans]
names = {span.span_id: span.name for span in spans}
print(json.dumps({
    "resource": attributes(traces[0].resource.attributes),
    "spans": [
        {
            "name": span.name,
            "trace": span.trace_id.hex(),
            "parent": names.get(span.parent_span_id, span.parent_span_id.hex()),
            "status": span.status.code,
            "message": span.status.message,
            "took": span.end_time_unix_nano - span.start_time_unix_nano,
            "attributes": attributes(span.attributes),
        }
        for span in spans
    ],
    "metrics": {
        metric.name: [
            {"labels": attributes(point.attributes), "value": point.as_double} for point in metric.gauge.data_points
        ]
        for resource in metrics for scope in resource.scope_metrics for metric in scope.metrics
    },
}))
