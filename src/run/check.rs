//! Proof that a run can work.

use std::collections::BTreeSet;

use cxlake_sinks::lake::{LargeWrites, least_rights, probe_conditions, probe_large_write, tenant_folder};

use super::plan::total;
use super::preflight::{Preflight, TenantReady, open_lake, prepare};
use super::{Environment, RunRequest, pacing, request};
use crate::cxone::Client;
use crate::settings::{ReportSettings, Settings, WarehouseKind, WarehouseSettings};
use crate::vocabulary::{Failure, FailureKind};

/// One probe.
#[derive(Clone, Debug)]
pub struct Probe {
    /// What was tried.
    pub name: String,
    /// What was seen, or why it failed.
    pub outcome: Result<String, Failure>,
}

/// Probes tenants, lake and warehouses. Each probe stands alone as far as it can.
///
/// # Errors
/// Where the request names what the configuration does not have.
pub async fn check(
    settings: &Settings,
    request: &RunRequest,
    environment: &Environment,
) -> Result<Vec<Probe>, Failure> {
    let reports = request.reports(settings)?;
    settings.need_secrets_of(&reports)?;
    let mut probes = Vec::new();
    for (tenant, reports) in request::by_tenant(&reports) {
        let mut add = |name: &str, outcome| probes.push(Probe { name: format!("{tenant} {name}"), outcome });
        probe_lake(settings, tenant, &mut add).await;
        // Why the lake cannot be opened is told.
        let Ok(preflight) = Preflight::open(settings) else { continue };
        match preflight.client(settings, tenant, environment) {
            Ok(client) => probe_tenant(&preflight, &client, settings, &reports, environment, &mut add).await,
            Err(failure) => add("connection", Err(failure)),
        }
    }
    probes.extend(warehouses(settings, request, environment).await?);
    Ok(probes)
}

type Add<'a> = &'a mut (dyn FnMut(&str, Result<String, Failure>) + Send);

async fn probe_lake(settings: &Settings, tenant: &str, add: Add<'_>) {
    let rights = least_rights(&settings.lake.url);
    let lake = match open_lake(&settings.lake) {
        Ok(lake) => lake,
        Err(failure) => return add("lake", Err(failure)),
    };
    let folder = format!("{}/probe", tenant_folder(tenant));
    let name = |kind: &str| format!("{kind}-{}", uuid::Uuid::now_v7());
    let racing = probe_conditions(&lake, &folder, &name("racing")).await;
    let racing = racing.map(|()| "one of eight won".to_owned()).map_err(Failure::from);
    add("lake: racing creates", racing.map_err(|failure| with_rights(failure, rights.as_deref())));
    let large = probe_large_write(&lake, &folder, &name("large")).await;
    let how = |large| match large {
        LargeWrites::InParts => "two parts were joined, on a condition where it counts",
        LargeWrites::InOnePut => "two parts were joined; large objects go up in one put",
    };
    let large = large.map(|large| how(large).to_owned()).map_err(Failure::from);
    add("lake: large write", large.map_err(|failure| with_rights(failure, rights.as_deref())));
}

async fn probe_tenant(
    preflight: &Preflight,
    client: &Client,
    settings: &Settings,
    reports: &[&ReportSettings],
    environment: &Environment,
    add: Add<'_>,
) {
    match client.sign_in().await {
        Ok(region) => add("token and region", Ok(format!("region {region}"))),
        Err(failure) => return add("token and region", Err(failure)),
    }
    let ready = prepare(preflight, client, settings, reports, environment).await;
    match &ready {
        Ok(ready) => tell_catalog(ready, add),
        Err(failure) => add("catalog and time zone", Err(failure.clone())),
    }
    let quota = match client.quota().await {
        Some(quota) if quota.remaining == 0 && quota.limit > 0 => {
            Err(pacing::spent(&quota, 1, environment.surroundings.clock.now()))
        }
        Some(quota) => Ok(format!("{} of {} calls left", quota.remaining, quota.limit)),
        None => Ok("the tenant has none".to_owned()),
    };
    let is_spent = quota.is_err();
    add("quota", quota);
    let Ok(ready) = ready else { return };
    for report in reports {
        match ready.decode_plan(report) {
            Err(failure) => add(&format!("rules of {}", report.name), Err(failure)),
            // Where nothing is left, the tenant would have the call wait.
            Ok(_) if is_spent => {}
            Ok(_) => {
                add(&format!("data download of {}", report.name), probe_download(client, &ready, report).await);
            }
        }
    }
}

fn tell_catalog(ready: &TenantReady, add: Add<'_>) {
    let rules = chrono_tz::IANA_TZDB_VERSION;
    add("time zone", Ok(format!("{} (rules of tzdb {rules})", ready.time_zone.name())));
    let missing = ready.missing_permissions.join(", ");
    let seen = if missing.is_empty() { "all listed".to_owned() } else { format!("not listed: {missing}") };
    add("permissions", Ok(seen));
    let registry = &ready.registry;
    let state = if ready.registry_is_new { "to be written" } else { "unchanged" };
    add(
        "catalog and registry",
        Ok(format!("{} metrics, version {} {state}", registry.metrics.len(), registry.version)),
    );
}

/// Asks for one record of the newest window that may be read: the tenant may refuse the report, one of its
/// metrics, or all of Data Download.
async fn probe_download(client: &Client, ready: &TenantReady, report: &ReportSettings) -> Result<String, Failure> {
    let Some(window) = request::newest_settled(report, ready.time_zone, client.server_now()) else {
        return Ok("no window may be read yet".to_owned());
    };
    total(client, ready, report, window).await?;
    Ok("the tenant answers".to_owned())
}

/// What stores and warehouses say where they refuse: statuses of HTTP, and words of the vendors'.
const REFUSALS: [&str; 6] = ["401", "403", "denied", "forbidden", "not authorized", "privilege"];

/// A failure whose hint says what to grant, where something was refused.
fn with_rights(failure: Failure, rights: Option<&str>) -> Failure {
    let message = failure.message.to_lowercase();
    let is_refused = failure.kind == FailureKind::Access || REFUSALS.iter().any(|word| message.contains(word));
    let Some(rights) = rights.filter(|_| is_refused) else { return failure };
    let hint = failure.hint.clone().map(|hint| format!("{hint}; ")).unwrap_or_default();
    failure.hint(format!("{hint}the least rights: {rights}"))
}

/// What to grant to who loads.
fn warehouse_rights(warehouse: &WarehouseSettings) -> String {
    match &warehouse.kind {
        WarehouseKind::BigQuery { file, .. } => {
            let (project, dataset) = (&file.project, &file.dataset);
            format!(
                "gcloud projects add-iam-policy-binding {project} --member=serviceAccount:NAME \
                 --role=roles/bigquery.jobUser; bq add-iam-policy-binding --member=serviceAccount:NAME \
                 --role=roles/bigquery.dataEditor {project}:{dataset}; roles/storage.objectViewer on the lake's bucket"
            )
        }
        WarehouseKind::Snowflake { file, .. } => {
            let role = file.role.as_deref().unwrap_or("ROLE");
            let schema = format!("{}.{}", file.database, file.schema);
            // A stage may be in another schema, of the database or of another one.
            let stage = match file.stage.matches('.').count() {
                0 => format!("{schema}.{}", file.stage),
                1 => format!("{}.{}", file.database, file.stage),
                _ => file.stage.clone(),
            };
            let stage_schema = stage.rsplit_once('.').map_or(schema.as_str(), |(stage_schema, _)| stage_schema);
            let stage_database = stage.split('.').next().unwrap_or_default();
            let also = if stage_database == file.database {
                String::new()
            } else {
                format!("GRANT USAGE ON DATABASE {stage_database} TO ROLE {role}; ")
            };
            format!(
                "GRANT USAGE ON WAREHOUSE {} TO ROLE {role}; GRANT USAGE ON DATABASE {} TO ROLE {role}; {also}GRANT \
                 USAGE, CREATE TABLE ON SCHEMA {schema} TO ROLE {role}; GRANT USAGE ON SCHEMA {stage_schema} TO ROLE \
                 {role}; GRANT USAGE ON STAGE {stage} TO ROLE {role}",
                file.warehouse, file.database
            )
        }
    }
}

/// Probes of the warehouses that the reports are loaded into.
async fn warehouses(
    settings: &Settings,
    request: &RunRequest,
    environment: &Environment,
) -> Result<Vec<Probe>, Failure> {
    let names: BTreeSet<&String> = request.reports(settings)?.into_iter().flat_map(|report| &report.load).collect();
    let mut probes = Vec::new();
    for name in names {
        let rights = settings.warehouses.get(name).map(warehouse_rights);
        match environment.warehouses.get(settings, name, environment).await {
            Ok(warehouse) => probes.extend(warehouse.probe().await.into_iter().map(|(what, outcome)| Probe {
                name: format!("warehouse {name}: {what}"),
                outcome: outcome.map_err(|failure| with_rights(failure.into(), rights.as_deref())),
            })),
            Err(failure) => probes.push(Probe { name: format!("warehouse {name}"), outcome: Err(failure) }),
        }
    }
    Ok(probes)
}
