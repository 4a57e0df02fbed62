//! The JSON Schemas of what cxlake promises, as the folder `schemas/` holds them. They are made from
//! the types; a test fails where they are stale.

/// `cxlake.toml`.
pub const CONFIGURATION: &str = include_str!("../schemas/configuration.schema.json");
/// Drift events of the registry's audit trail, as alerts get them.
pub const EVENT: &str = include_str!("../schemas/event.schema.json");
/// Plans and dones in the lake.
pub const MANIFEST: &str = include_str!("../schemas/manifest.schema.json");
/// Versions of the registry.
pub const REGISTRY: &str = include_str!("../schemas/registry.schema.json");
/// What is kept of a run in the lake.
pub const RUN: &str = include_str!("../schemas/run.schema.json");
/// The last line of a run.
pub const SUMMARY: &str = include_str!("../schemas/summary.schema.json");
/// The standard columns of the guide's report.
pub const STANDARD_COLUMNS: &str = include_str!("../schemas/interaction_call.columns.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cxlake_sinks::lake::{Done, Plan};
    use schemars::{JsonSchema, schema_for};
    use serde::Serialize;

    use crate::registry::{RegistryVersion, ReportRequest, Selection, StandardColumnRequest, evolve};
    use crate::run::summary::Summary;
    use crate::run::{RecordedEvent, RunReport};
    use crate::settings::file::File;
    use crate::vocabulary::{ColumnType, Constraints, snake_case};

    /// A plan or a done.
    #[derive(Serialize, JsonSchema)]
    #[serde(untagged)]
    #[schemars(title = "cxlake manifest")]
    #[expect(dead_code, reason = "only its schema is made")]
    enum Manifest {
        Plan(Plan),
        Done(Done),
    }

    /// `CXLAKE_WRITE_SCHEMAS=1 cargo test schemas` writes them anew.
    fn check(file: &str, content: &impl Serialize) {
        let mut text = serde_json::to_string_pretty(content).unwrap();
        text.push('\n');
        let path = format!("{}/schemas/{file}.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("CXLAKE_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "{path} is stale: CXLAKE_WRITE_SCHEMAS=1 cargo test schemas"
        );
    }

    /// The columns of a file for the guide's own request (its section 2).
    fn standard_columns() -> serde_json::Value {
        let column = |source: &str, column_type| StandardColumnRequest {
            source: source.to_owned(),
            name: snake_case(source),
            column_type,
            required: source == "interactionId",
            constraints: Constraints::default(),
        };
        let request = ReportRequest {
            name: "Interaction/Call".to_owned(),
            group: None,
            group_by: ["interactionId", "agentId", "dispositionCode"].map(|key| column(key, ColumnType::String)).into(),
            metrics: ["duration", "holdTime", "wrapUpTime", "talkTime"]
                .map(|metric| column(metric, ColumnType::Number))
                .into(),
            custom_metrics: Selection::All,
        };
        let version = evolve("guide", None, &[], &BTreeMap::new(), &[request], String::new()).unwrap().version;
        serde_json::json!({ "report": "Interaction/Call", "columns": version.reports["Interaction/Call"].columns })
    }

    #[test]
    fn schemas_are_those_of_the_types() {
        check("configuration.schema", &schema_for!(File));
        check("event.schema", &schema_for!(RecordedEvent));
        check("manifest.schema", &schema_for!(Manifest));
        check("registry.schema", &schema_for!(RegistryVersion));
        check("summary.schema", &schema_for!(Summary));
        check("run.schema", &schema_for!(RunReport));
        check("interaction_call.columns", &standard_columns());
    }
}
