//! A run's reports as events of OpenLineage (<https://openlineage.io/spec/2-0-2/OpenLineage.json>): where the rows
//! come from, column by column, and where they went.

use serde_json::{Value, json};
use url::Url;

use crate::registry::{Column, ColumnOrigin};
use crate::run::summary::{RunStatus, WindowSummary};
use crate::run::{LineageTargets, RunReport, WindowDetails};
use crate::settings::{ReportSettings, Settings};

const PRODUCER: &str = concat!("https://pypi.org/project/cxlake/", env!("CARGO_PKG_VERSION"));
const SPECIFICATION: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// The report of a run whose lineage is told.
pub struct Lineage<'a> {
    /// The whole configuration.
    pub settings: &'a Settings,
    /// The report.
    pub report: &'a ReportSettings,
    /// The run's id.
    pub run_id: &'a str,
    /// Where it is told.
    pub targets: &'a LineageTargets,
}

impl Lineage<'_> {
    /// The run began.
    pub fn started(&self, at: &str) -> Value {
        self.event("START", at, &json!({}), &json!([]), &json!([]))
    }

    /// The run ended, with the report's columns as far as they were known.
    pub fn ended(&self, run: &RunReport, columns: &[Column]) -> Value {
        let windows: Vec<(&WindowSummary, Option<&WindowDetails>)> = run
            .summary
            .windows
            .iter()
            .enumerate()
            .filter(|(_, window)| window.report == self.report.name)
            .map(|(at, window)| (window, run.details.get(at)))
            .collect();
        let whole = !windows.is_empty() && windows.iter().all(|(window, _)| window.status.is_in_lake());
        let kind = match run.summary.status {
            _ if whole => "COMPLETE",
            RunStatus::Interrupted => "ABORT",
            _ => "FAIL",
        };
        let mut facets = json!({});
        if let (Some((first, _)), Some((last, _))) = (windows.first(), windows.last()) {
            let times = json!({ "nominalStartTime": first.window.start, "nominalEndTime": last.window.end });
            facets["nominalTime"] = facet("1-0-1", "NominalTimeRunFacet", times);
        }
        if let Some(error) = run.summary.error.as_ref().filter(|_| !whole) {
            let message = json!({ "message": error.message, "programmingLanguage": "RUST" });
            facets["errorMessage"] = facet("1-0-1", "ErrorMessageRunFacet", message);
        }
        let stored: Vec<&WindowSummary> =
            windows.iter().map(|(window, _)| *window).filter(|window| window.status.is_in_lake()).collect();
        self.event(
            kind,
            &run.ended_at,
            &facets,
            &json!([self.input(columns, &windows)]),
            &self.outputs(columns, &stored),
        )
    }

    fn event(&self, kind: &str, at: &str, facets: &Value, inputs: &Value, outputs: &Value) -> Value {
        let mut facets = facets.clone();
        let engine = json!({ "name": "cxlake", "version": env!("CARGO_PKG_VERSION") });
        facets["processing_engine"] = facet("1-1-1", "ProcessingEngineRunFacet", engine);
        if let Some([namespace, job, run]) = &self.targets.parent {
            let parent = json!({ "run": { "runId": run }, "job": { "namespace": namespace, "name": job } });
            facets["parent"] = facet("1-2-0", "ParentRunFacet", parent);
        }
        let job_type = json!({ "processingType": "BATCH", "integration": "CXLAKE", "jobType": "RUN" });
        json!({
            "eventType": kind,
            "eventTime": at,
            "producer": PRODUCER,
            "schemaURL": SPECIFICATION,
            "run": { "runId": self.run(), "facets": facets },
            "job": {
                "namespace": self.targets.namespace,
                "name": format!("{}.{}", self.report.tenant, self.report.name),
                "facets": { "jobType": facet("2-0-4", "JobTypeJobFacet", job_type) },
            },
            "inputs": inputs,
            "outputs": outputs,
        })
    }

    /// A run id of OpenLineage's is of one job: each report of a run has its own, always the same.
    fn run(&self) -> String {
        let run = uuid::Uuid::parse_str(self.run_id).unwrap_or_default();
        uuid::Uuid::new_v5(&run, format!("{}/{}", self.report.tenant, self.report.name).as_bytes()).to_string()
    }

    /// The tenant's host and the report's name there.
    fn source(&self) -> (String, String) {
        let tenant = self.settings.tenants.get(&self.report.tenant);
        let host = tenant.and_then(|tenant| Some(Url::parse(&tenant.auth_url).ok()?.host_str()?.to_owned()));
        (format!("cxone://{}", host.unwrap_or_else(|| self.report.tenant.clone())), self.report.report.clone())
    }

    fn input(&self, columns: &[Column], windows: &[(&WindowSummary, Option<&WindowDetails>)]) -> Value {
        let (namespace, name) = self.source();
        let fields: Vec<Value> = columns
            .iter()
            .filter(|column| column.requested)
            .map(|column| json!({ "name": field(column), "type": column.column_type.to_string() }))
            .collect();
        let known: Vec<(u64, u64)> =
            windows.iter().filter_map(|(window, _)| Some((window.rows.expected?, window.rows.fetched?))).collect();
        let mut assertions = Vec::new();
        if !known.is_empty() {
            let expected: u64 = known.iter().map(|(expected, _)| expected).sum();
            let fetched: u64 = known.iter().map(|(_, fetched)| fetched).sum();
            assertions.push(json!({
                "assertion": "row_count", "success": expected == fetched, "severity": "error",
                "expected": expected.to_string(), "actual": fetched.to_string(),
            }));
        }
        let rejects = windows.iter().filter_map(|(_, details)| details.as_ref()).flat_map(|details| &details.rejects);
        assertions.extend(rejects.map(|rejects| {
            json!({
                "assertion": rejects.rule, "column": rejects.path.trim_start_matches('/').replace('/', "."),
                "success": false, "severity": "warn", "expected": "0", "actual": rejects.records.to_string(),
            })
        }));
        let mut input = json!({ "namespace": namespace, "name": name, "facets": {}, "inputFacets": {} });
        // A run that never came to know the columns says nothing of them.
        if !columns.is_empty() {
            input["facets"]["schema"] = facet("1-2-0", "SchemaDatasetFacet", json!({ "fields": fields }));
        }
        if !assertions.is_empty() {
            let assertions = json!({ "assertions": assertions });
            input["inputFacets"]["dataQualityAssertions"] =
                facet("1-1-0", "DataQualityAssertionsDatasetFacet", assertions);
        }
        input
    }

    fn outputs(&self, columns: &[Column], windows: &[&WindowSummary]) -> Value {
        let sum = |of: fn(&WindowSummary) -> Option<u64>| windows.iter().filter_map(|window| of(window)).sum::<u64>();
        let (namespace, folder) = dataset(&self.settings.lake.url);
        let output = |kind: &str, rows: u64| {
            let name = format!("{folder}/{}/{}/{kind}", self.report.tenant, self.report.name);
            let storage = json!({ "storageLayer": "lake", "fileFormat": "parquet" });
            let statistics = json!({ "rowCount": rows, "fileCount": windows.len() });
            json!({
                "namespace": namespace,
                // A path stays one (OpenLineage, "Dataset Naming"); an object's key begins with no slash.
                "name": if namespace == "file" { name.as_str() } else { name.trim_start_matches('/') },
                "facets": { "storage": facet("1-0-1", "StorageDatasetFacet", storage) },
                "outputFacets": {
                    "outputStatistics": facet("1-0-2", "OutputStatisticsOutputDatasetFacet", statistics),
                },
            })
        };
        let mut data = output("data", sum(|window| window.rows.accepted));
        if !columns.is_empty() {
            let fields = columns.iter().map(|column| {
                let mut field = json!({ "name": column.name, "type": column.column_type.to_string() });
                if let Some(name) = &column.display_name {
                    field["description"] = json!(name);
                }
                field
            });
            let fields = json!({ "fields": fields.collect::<Vec<_>>() });
            data["facets"]["schema"] = facet("1-2-0", "SchemaDatasetFacet", fields);
            data["facets"]["columnLineage"] =
                facet("1-2-0", "ColumnLineageDatasetFacet", json!({ "fields": self.column_lineage(columns) }));
        }
        if let Some(version) = windows.iter().filter_map(|window| window.registry_version).max() {
            let version = json!({ "datasetVersion": version.to_string() });
            data["facets"]["version"] = facet("1-0-1", "DatasetVersionDatasetFacet", version);
        }
        json!([data, output("quarantine", sum(|window| window.rows.quarantined))])
    }

    /// Each column is as it was sent.
    fn column_lineage(&self, columns: &[Column]) -> Value {
        let (namespace, name) = self.source();
        let fields = columns.iter().filter(|column| column.requested).map(|column| {
            let input = json!({
                "namespace": namespace, "name": name, "field": field(column),
                "transformations": [{ "type": "DIRECT", "subtype": "IDENTITY" }],
            });
            (column.name.clone(), json!({ "inputFields": [input] }))
        });
        Value::Object(fields.collect())
    }
}

/// A field of a record, by its path.
fn field(column: &Column) -> String {
    match column.origin {
        ColumnOrigin::CustomMetric => format!("customMetrics.{}", column.source),
        _ => column.source.clone(),
    }
}

fn facet(version: &str, name: &str, mut members: Value) -> Value {
    members["_producer"] = json!(PRODUCER);
    members["_schemaURL"] = json!(format!("https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}"));
    members
}

/// The namespace and the beginning of the names of a lake's datasets
/// (<https://openlineage.io/docs/spec/naming>): the store, and the folder in it.
fn dataset(lake: &str) -> (String, String) {
    match Url::parse(lake) {
        Ok(url) if url.scheme() == "file" => ("file".to_owned(), url.path().trim_end_matches('/').to_owned()),
        Ok(url) if url.scheme().len() > 1 => {
            let host = url.host_str().unwrap_or_default();
            let at = if url.username().is_empty() { host.to_owned() } else { format!("{}@{host}", url.username()) };
            (format!("{}://{at}", url.scheme()), url.path().trim_matches('/').to_owned())
        }
        _ => {
            let absolute =
                std::path::absolute(lake).map_or_else(|_| lake.to_owned(), |path| path.display().to_string());
            ("file".to_owned(), absolute)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datasets_are_named_as_openlineage_does() {
        let check = |lake: &str, namespace: &str, name: &str| {
            assert_eq!(dataset(lake), (namespace.to_owned(), name.to_owned()), "{lake}");
        };
        check("s3://lake/cxone/", "s3://lake", "cxone");
        check("gs://lake", "gs://lake", "");
        check("abfss://raw@acme.dfs.core.windows.net/cx", "abfss://raw@acme.dfs.core.windows.net", "cx");
        check("file:///srv/lake", "file", "/srv/lake");
        check("/srv/lake", "file", "/srv/lake");
    }
}
