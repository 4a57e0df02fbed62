//! The JSON Schemas of what cxlake promises, as the folder `schemas/` holds them. They are made from
//! the types; a test fails where they are stale.

/// `cxlake.toml`.
pub const CONFIGURATION: &str = include_str!("../schemas/configuration.schema.json");
/// Plans and dones in the lake.
pub const MANIFEST: &str = include_str!("../schemas/manifest.schema.json");
/// Versions of the registry.
pub const REGISTRY: &str = include_str!("../schemas/registry.schema.json");
/// The last line of a run.
pub const SUMMARY: &str = include_str!("../schemas/summary.schema.json");

#[cfg(test)]
mod tests {
    use cxlake_sinks::lake::{Done, Plan};
    use schemars::{JsonSchema, schema_for};
    use serde::Serialize;

    use crate::registry::RegistryVersion;
    use crate::run::summary::Summary;
    use crate::settings::file::File;

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
    fn check(file: &str, schema: schemars::Schema) {
        let mut text = serde_json::to_string_pretty(&schema).unwrap();
        text.push('\n');
        let path = format!("{}/schemas/{file}.schema.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("CXLAKE_WRITE_SCHEMAS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "{path} is stale: CXLAKE_WRITE_SCHEMAS=1 cargo test schemas"
        );
    }

    #[test]
    fn schemas_are_those_of_the_types() {
        check("configuration", schema_for!(File));
        check("manifest", schema_for!(Manifest));
        check("registry", schema_for!(RegistryVersion));
        check("summary", schema_for!(Summary));
    }
}
