//! A lake against its manifests.

use std::collections::BTreeMap;

use cxlake_sinks::lake::{ExpectedSchemas, Findings, Lake, Sample, Scrutiny, report_folder, verify_report};

use super::preflight::lake_location;
use super::registry_store::RegistryStore;
use super::{Environment, RunRequest};
use crate::columns::quarantine_schema;
use crate::registry::{RegistryVersion, data_schema};
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::{Failure, FailureKind};

/// Verifies the reports that are asked for. With a sample, only the objects of so many windows of
/// each report are read whole. What was found before a failure stands in `findings`.
///
/// # Errors
/// Where the lake or a registry cannot be read.
pub async fn verify(
    settings: &Settings,
    request: &RunRequest,
    sample: Option<usize>,
    environment: &Environment,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let lake = Lake::open_existing(&lake_location(&settings.lake)).await?;
    let seed = environment.surroundings.randomness.fraction().to_bits();
    let sample = sample.map(|windows| Sample { windows, seed });
    let mut registries = BTreeMap::new();
    for report in request.reports(settings)? {
        let tenant = report.tenant.as_str();
        if !registries.contains_key(tenant) {
            let registry = RegistryStore::open_to_read(settings, tenant, &lake)?;
            let versions = versions(&registry, tenant, findings).await?;
            registries.insert(tenant, (registry, versions));
        }
        let Some((registry, versions)) = registries.get_mut(tenant) else { continue };
        ReportVerification { lake: &lake, report, sample }.run(registry, versions, findings).await?;
    }
    if request.reports.is_empty() {
        findings.notes.extend(not_configured(settings, registries.keys().copied(), &lake).await?);
    }
    Ok(())
}

struct ReportVerification<'a> {
    lake: &'a Lake,
    report: &'a ReportSettings,
    sample: Option<Sample>,
}

impl ReportVerification<'_> {
    async fn run(
        &self,
        registry: &RegistryStore,
        versions: &mut Option<Vec<RegistryVersion>>,
        findings: &mut Findings,
    ) -> Result<(), Failure> {
        let Self { lake, report, sample } = *self;
        let mut found = Findings::default();
        loop {
            let data = versions.as_ref().map(|versions| {
                let columns = |version: &RegistryVersion| {
                    version.reports.get(&report.name).map(|columns| (version.version, data_schema(columns)))
                };
                versions.iter().filter_map(columns).collect()
            });
            let schemas = data.map(|data| ExpectedSchemas { data, quarantine: quarantine_schema() });
            let scrutiny = Scrutiny { sample, schemas };
            let outcome = verify_report(lake, &report.tenant, &report.name, &scrutiny, &mut found).await;
            // A window that was committed meanwhile can have a version that was written meanwhile.
            if outcome.is_ok()
                && !found.findings.is_empty()
                && let Some(known) = versions
                && let Ok(now) = registry.all().await
                && now.len() > known.len()
            {
                *known = now;
                found = Findings::default();
                continue;
            }
            if found.windows == 0 && outcome.is_ok() {
                found.notes.push(format!("{}: nothing is committed", report_folder(&report.tenant, &report.name)));
            }
            findings.add(found);
            return Ok(outcome?);
        }
    }
}

/// The versions of a registry; `None`, and a finding, where they cannot be read and will not be by themselves.
async fn versions(
    registry: &RegistryStore,
    tenant: &str,
    findings: &mut Findings,
) -> Result<Option<Vec<RegistryVersion>>, Failure> {
    match registry.all().await {
        Ok(versions) => Ok(Some(versions)),
        Err(failure) if failure.kind == FailureKind::Unavailable => Err(failure),
        Err(failure) => {
            findings.findings.push(format!("{tenant}: {failure}; columns were not looked at"));
            Ok(None)
        }
    }
}

/// A note of each report that the lake has of these tenants and the configuration has not.
async fn not_configured<'a>(
    settings: &Settings,
    tenants: impl Iterator<Item = &'a str>,
    lake: &Lake,
) -> Result<Vec<String>, Failure> {
    let mut notes = Vec::new();
    for tenant in tenants {
        for name in lake.folders(tenant).await? {
            let is_configured = settings.reports.get(&name).is_some_and(|report| report.tenant == tenant);
            let folder = report_folder(tenant, &name);
            if !is_configured && lake.folders(&folder).await?.iter().any(|folder| folder == "manifests") {
                notes.push(format!("{folder}: the configuration has no such report: it was not looked at"));
            }
        }
    }
    Ok(notes)
}
