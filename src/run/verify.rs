//! A lake against its manifests.

use std::collections::BTreeMap;

use cxlake_sinks::lake::{ExpectedSchemas, Findings, Lake, Sample, Scrutiny, verify_report};

use super::preflight::lake_location;
use super::registry_store::RegistryStore;
use super::{Environment, RunRequest};
use crate::columns::quarantine_schema;
use crate::registry::{RegistryVersion, data_schema};
use crate::settings::Settings;
use crate::vocabulary::Failure;

/// Verifies the reports that are asked for. With a sample, only the objects of so many windows of
/// each report are read whole.
///
/// # Errors
/// Where the lake or a registry cannot be read.
pub async fn verify(
    settings: &Settings,
    request: &RunRequest,
    sample: Option<usize>,
    environment: &Environment,
) -> Result<Findings, Failure> {
    let lake = Lake::open_existing(&lake_location(&settings.lake))?;
    let mut registries: BTreeMap<&str, Vec<RegistryVersion>> = BTreeMap::new();
    let mut all = Findings::default();
    for report in request.reports(settings)? {
        if !registries.contains_key(report.tenant.as_str()) {
            let store = RegistryStore::open_to_read(settings, &report.tenant, &lake)?;
            registries.insert(&report.tenant, store.all().await?);
        }
        let columns = |version: &RegistryVersion| {
            version.reports.get(&report.name).map(|columns| (version.version, data_schema(columns)))
        };
        let versions = registries.get(report.tenant.as_str()).into_iter().flatten();
        let data = versions.filter_map(columns).collect();
        let seed = environment.surroundings.randomness.fraction().to_bits();
        let scrutiny = Scrutiny {
            sample: sample.map(|windows| Sample { windows, seed }),
            schemas: Some(ExpectedSchemas { data, quarantine: quarantine_schema() }),
        };
        let found = verify_report(&lake, &report.tenant, &report.name, &scrutiny).await?;
        all.findings.extend(found.findings);
        all.notes.extend(found.notes);
        all.windows += found.windows;
        all.objects += found.objects;
        all.rows += found.rows;
    }
    Ok(all)
}
