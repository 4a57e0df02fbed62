use std::collections::BTreeMap;

use super::*;
use crate::vocabulary::{ColumnType, Constraints, DriftKind, ExactNumber, Failure};

fn metric(id: &str, display_name: &str, data_type: &str) -> CatalogMetric {
    CatalogMetric {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        data_type: data_type.to_owned(),
        constraints: Constraints::default(),
        required: false,
        status: MetricStatus::Published,
        reporting_groups: None,
    }
}

fn standard(source: &str, column_type: ColumnType) -> StandardColumnRequest {
    StandardColumnRequest {
        source: source.to_owned(),
        name: crate::vocabulary::snake_case(source),
        column_type,
        required: source == "interactionId",
        constraints: Constraints::default(),
    }
}

fn report(custom_metrics: &[&str]) -> ReportRequest {
    ReportRequest {
        name: "calls".to_owned(),
        group: None,
        group_by: vec![standard("interactionId", ColumnType::String)],
        metrics: vec![standard("duration", ColumnType::Number)],
        custom_metrics: match custom_metrics {
            ["*"] => Selection::All,
            listed => Selection::Listed(listed.iter().map(|name| (*name).to_owned()).collect()),
        },
    }
}

fn next(earlier: Option<&RegistryVersion>, catalog: &[CatalogMetric], custom: &[&str]) -> Result<Evolution, Failure> {
    evolve("acme", earlier, catalog, &BTreeMap::new(), &[report(custom)], "2024-01-01T00:00:00Z".to_owned())
}

fn column_names(version: &RegistryVersion) -> Vec<&str> {
    version.reports["calls"].columns.iter().map(|column| column.name.as_str()).collect()
}

fn catalog() -> Vec<CatalogMetric> {
    vec![metric("cm_b", "Score", "number"), metric("cm_a", "Flag", "string"), metric("cm_c", "Other", "integer")]
}

#[test]
fn the_first_version_has_the_contracts_columns_and_no_drift() {
    let first = next(None, &catalog(), &["Flag", "cm_b"]).unwrap();
    assert!(first.is_new && first.drift.is_empty());
    assert_eq!(
        column_names(&first.version),
        ["report_date", "interaction_id", "duration", "cm_b", "cm_a", "_unmapped", "_schema_version"]
    );
    let mut ids: Vec<i32> = first.version.reports["calls"].columns.iter().map(|column| column.field_id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 7);
}

#[test]
fn another_order_of_the_catalog_is_no_drift() {
    let first = next(None, &catalog(), &["*"]).unwrap().version;
    let mut reversed = catalog();
    reversed.reverse();
    let second = next(Some(&first), &reversed, &["*"]).unwrap();
    assert!(!second.is_new);
    assert_eq!(second.version.version, 1);
    assert_eq!(catalog_sha256(&catalog()), catalog_sha256(&reversed));
}

#[test]
fn what_the_registry_does_not_hold_makes_no_drift_of_a_change_of_the_configuration() {
    let grouped = |groups: [&str; 2]| {
        let mut catalog = catalog();
        catalog[0].reporting_groups = Some(groups.map(str::to_owned).to_vec());
        catalog
    };
    let with = |status| {
        let other = CatalogMetric { status, ..metric("cm_d", "Other", "string") };
        [grouped(["a", "b"]), vec![other]].concat()
    };
    for other in [grouped(["b", "a"]), with(MetricStatus::Draft), with(MetricStatus::Retired)] {
        assert_eq!(catalog_sha256(&grouped(["a", "b"])), catalog_sha256(&other));
    }
    for other in [grouped(["a", "c"]), with(MetricStatus::Published)] {
        assert_ne!(catalog_sha256(&grouped(["a", "b"])), catalog_sha256(&other));
    }
}

#[test]
fn drift_makes_one_version_and_columns_only_grow() {
    let first = next(None, &catalog(), &["*"]).unwrap().version;
    let mut changed = catalog();
    changed[0].data_type = "string".to_owned();
    changed[1].display_name = "Regulatory Flag".to_owned();
    changed[2].status = MetricStatus::Retired;
    changed.push(metric("cm_d", "New", "boolean"));
    let second = next(Some(&first), &changed, &["*"]).unwrap();
    let mut kinds: Vec<DriftKind> = second.drift.iter().map(|event| event.kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [DriftKind::NewMetric, DriftKind::Renamed, DriftKind::TypeChanged, DriftKind::Retired]);
    let version = second.version;
    assert_eq!(version.version, 2);
    assert_eq!(
        column_names(&version),
        [
            "report_date",
            "interaction_id",
            "duration",
            "cm_b",
            "cm_a",
            "cm_c",
            "cm_b__string",
            "cm_d",
            "_unmapped",
            "_schema_version"
        ]
    );
    let requested: Vec<&str> = version.reports["calls"]
        .columns
        .iter()
        .filter(|column| column.requested && column.origin == ColumnOrigin::CustomMetric)
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(requested, ["cm_a", "cm_b__string", "cm_d"]);

    let third = next(Some(&version), &catalog(), &["*"]).unwrap().version;
    assert_eq!(column_names(&third), column_names(&version));
    assert_eq!(third.metrics[0].current_column().unwrap().name, "cm_b");
}

#[test]
fn constraints_that_change_make_a_version() {
    let first = next(None, &catalog(), &["*"]).unwrap().version;
    let mut changed = catalog();
    changed[0].constraints.maximum = ExactNumber::parse("1.0");
    let second = next(Some(&first), &changed, &["*"]).unwrap();
    assert_eq!(second.drift[0].kind, DriftKind::ConstraintsChanged);
    changed[0].constraints.maximum = ExactNumber::parse("1");
    assert!(!next(Some(&second.version), &changed, &["*"]).unwrap().is_new, "1.0 and 1 are one value");
}

#[test]
fn an_earlier_name_still_finds_its_metric() {
    let first = next(None, &catalog(), &["Flag"]).unwrap().version;
    let mut renamed = catalog();
    renamed[1].display_name = "Regulatory Flag".to_owned();
    let second = next(Some(&first), &renamed, &["Flag"]).unwrap();
    assert_eq!(column_names(&second.version), column_names(&first));
    assert_eq!(
        second.warnings,
        ["the metric cm_a is now called \"Regulatory Flag\": the configuration has its earlier name \"Flag\""]
    );
}

#[test]
fn metrics_that_cannot_be_asked_for_are_named() {
    fn check(change: impl FnOnce(&mut Vec<CatalogMetric>), group: Option<&str>, message: &str, hint: &str) {
        let mut catalog = catalog();
        change(&mut catalog);
        let request = ReportRequest { group: group.map(str::to_owned), ..report(&["Score"]) };
        let failure = resolve(&request, &catalog, None).unwrap_err();
        assert_eq!(failure.kind.exit_code(), 2);
        assert_eq!((failure.message.as_str(), failure.hint.as_deref().unwrap_or_default()), (message, hint));
    }
    check(
        |catalog| catalog[1].display_name = "Score".to_owned(),
        None,
        "resolve the metric \"Score\" of reports.calls: 2 metrics have that name: cm_b, cm_a",
        "name the id in custom_metrics",
    );
    check(
        |catalog| catalog[0].display_name = "Scores".to_owned(),
        None,
        "resolve the metric \"Score\" of reports.calls: the catalog has none",
        "did you mean \"Scores\"?",
    );
    check(
        |catalog| catalog[0].status = MetricStatus::Draft,
        None,
        "request the metric \"Score\" (cm_b) for reports.calls: it is a draft",
        "custom metrics must be published and assigned to the target reporting groups",
    );
    check(
        |catalog| catalog[0].reporting_groups = Some(vec!["q_2".to_owned()]),
        Some("q_1"),
        "request the metric \"Score\" (cm_b) for reports.calls: it is not assigned to the report's group",
        "custom metrics must be published and assigned to the target reporting groups",
    );
}

#[test]
fn a_standard_key_keeps_its_column_when_it_moves_or_is_spelled_otherwise() {
    let asked = |group_by: &[(&str, ColumnType)], metrics: &[(&str, ColumnType)]| {
        let columns = |keys: &[(&str, ColumnType)]| keys.iter().map(|(key, of)| standard(key, *of)).collect();
        ReportRequest { group_by: columns(group_by), metrics: columns(metrics), ..report(&["Score"]) }
    };
    let after = |earlier: Option<&RegistryVersion>, request: ReportRequest| {
        evolve("acme", earlier, &catalog(), &BTreeMap::new(), &[request], String::new()).unwrap().version
    };
    let columns = |version: &RegistryVersion| -> Vec<String> {
        let asked = version.reports["calls"].columns.iter().filter(|column| column.requested);
        asked.map(|column| format!("{} {} {}", column.name, column.source, column.field_id)).collect()
    };
    let (text, number) = (ColumnType::String, ColumnType::Number);
    let first = after(None, asked(&[("id", text)], &[("ACWSeconds", number), ("mediaType", text)]));
    assert_eq!(columns(&first), ["id id 5", "acw_seconds ACWSeconds 6", "media_type mediaType 7", "cm_b cm_b 1"]);
    let second = after(Some(&first), asked(&[("id", text), ("mediaType", text)], &[("acwSeconds", number)]));
    assert_eq!(columns(&second), ["id id 5", "media_type mediaType 7", "acw_seconds acwSeconds 6", "cm_b cm_b 1"]);
    let third = after(Some(&second), asked(&[("id", text)], &[("mediaType", number), ("ACWSeconds", text)]));
    assert_eq!(
        columns(&third),
        ["id id 5", "media_type__number mediaType 10", "acw_seconds__string ACWSeconds 11", "cm_b cm_b 1"]
    );
    assert_eq!(
        columns(&after(Some(&third), asked(&[("id", text), ("mediaType", text)], &[("acwSeconds", number)]))),
        columns(&second)
    );
}

#[test]
fn settings_of_a_metric_that_there_is_not_are_told() {
    let overridden = ["cm_b", "cm_bb", "Score"].map(|id| (id.to_owned(), MetricOverride::default()));
    let next = evolve("acme", None, &catalog(), &BTreeMap::from(overridden), &[report(&["*"])], String::new());
    assert_eq!(
        next.unwrap().warnings,
        [
            "custom_metrics.\"Score\" in the configuration is of no metric that the tenant has or had: did you mean \"cm_b\"?",
            "custom_metrics.\"cm_bb\" in the configuration is of no metric that the tenant has or had: did you mean \"cm_b\"?",
        ]
    );
}

#[test]
fn a_column_name_that_a_metric_takes_from_another_is_refused() {
    let failure = next(None, &[metric("DURATION", "Clash", "number")], &["*"]).unwrap_err();
    assert_eq!(failure.message, "lay out the columns of reports.calls: two of them would be called \"DURATION\"");
}

#[test]
fn the_record_schema_is_draft_07_as_in_the_guide() {
    let mut catalog = catalog();
    catalog[0].required = true;
    catalog[0].constraints.maximum = ExactNumber::parse("1");
    let version = next(None, &catalog, &["Score", "Flag"]).unwrap().version;
    let schema: serde_json::Value = serde_json::from_str(version.reports["calls"].record_schema.get()).unwrap();
    assert_eq!(
        schema,
        serde_json::json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "interactionId": {"type": ["string"]},
                "duration": {"type": ["number", "null"]},
                "customMetrics": {
                    "type": "object",
                    "properties": {
                        "cm_b": {"type": ["number"], "maximum": 1, "description": "Score"},
                        "cm_a": {"type": ["string", "null"], "description": "Flag"},
                    },
                    "required": ["cm_b"],
                },
            },
            "required": ["interactionId", "customMetrics"],
        })
    );
}

#[test]
fn a_version_is_read_as_it_was_written() {
    let version = next(None, &catalog(), &["*"]).unwrap().version;
    let written = serde_json::to_string(&version).unwrap();
    let read: RegistryVersion = serde_json::from_str(&written).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), written);
}
