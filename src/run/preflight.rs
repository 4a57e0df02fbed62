//! Everything that a run needs from outside before its first window.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono_tz::Tz;
use cxlake_sinks::lake::{Lake, LakeLocation, probe_conditions, tenant_folder};
use cxlake_sinks::parquet::{Codec, ParquetOptions};

use super::Environment;
use super::registry_store::RegistryStore;
use crate::columns::{DecodePlan, PlanRequest, UnknownKeys};
use crate::cxone::{self, Client, ReportReader};
use crate::registry::{
    CatalogMetric, Evolution, MetricOverride, RegistryVersion, ReportColumns, ReportRequest, Selection,
    StandardColumnRequest, evolve,
};
use crate::settings::{
    Compression, CustomMetric, CustomMetricSelection, LakeSettings, ReportSettings, Settings, StandardColumn,
    TenantSettings, UnknownKeyPolicy,
};
use crate::vocabulary::{ColumnType, DriftEvent, Failure, snake_case};
use crate::window::Window;

/// How often a registry version is made anew because another run made the same number.
const REGISTRY_RACES: u32 = 5;

/// The open lake and how Parquet is written.
pub(super) struct Preflight {
    pub(super) lake: Lake,
    lake_settings: LakeSettings,
    is_only_read: bool,
}

/// What is known of a tenant once it may be read.
#[derive(Clone, Debug)]
pub(super) struct TenantReady {
    pub(super) tenant: String,
    pub(super) time_zone: Tz,
    pub(super) missing_permissions: Vec<&'static str>,
    pub(super) registry: RegistryVersion,
    pub(super) store: RegistryStore,
    /// What an operator should know of the registry.
    pub(super) warnings: Vec<String>,
    /// Whether the registry version is this run's: to be written, or written by it.
    pub(super) registry_is_new: bool,
    pub(super) drift: Vec<DriftEvent>,
    evolution: EvolutionInput,
}

/// What the registry is made from, for when another run was faster.
#[derive(Clone, Debug)]
struct EvolutionInput {
    catalog: Vec<CatalogMetric>,
    overrides: BTreeMap<String, MetricOverride>,
    requests: Vec<ReportRequest>,
    now: String,
}

impl Preflight {
    /// Opens the lake.
    pub(super) fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(Self { lake: open_lake(&settings.lake)?, lake_settings: settings.lake.clone(), is_only_read: false })
    }

    /// Opens the lake for a look at it: one that is not there yet is like an empty one, and stays so.
    pub(super) fn open_to_read(settings: &Settings) -> Result<Self, Failure> {
        let lake = Lake::open_to_read(&lake_location(&settings.lake))?;
        Ok(Self { lake, lake_settings: settings.lake.clone(), is_only_read: true })
    }

    /// Opens a lake that must be there for a look at it.
    pub(super) async fn open_existing(settings: &Settings) -> Result<Self, Failure> {
        let lake = Lake::open_existing(&lake_location(&settings.lake)).await?;
        Ok(Self { lake, lake_settings: settings.lake.clone(), is_only_read: true })
    }

    /// The registry of a tenant.
    pub(super) fn registry(&self, settings: &Settings, tenant: &str) -> Result<RegistryStore, Failure> {
        match self.is_only_read {
            true => RegistryStore::open_to_read(settings, tenant, &self.lake),
            false => RegistryStore::open(settings, tenant, &self.lake),
        }
    }

    /// A client for a tenant; nothing is called yet.
    pub(super) fn client(
        &self,
        settings: &Settings,
        tenant: &str,
        environment: &Environment,
    ) -> Result<Client, Failure> {
        Client::new(Arc::new(tenant_settings(settings, tenant)?.clone()), environment.surroundings.clone())
    }

    /// How a report's Parquet is written.
    pub(super) fn parquet(&self, report: &ReportSettings) -> ParquetOptions {
        let bloom = self.lake_settings.bloom_columns.as_ref().unwrap_or(&report.key);
        ParquetOptions {
            codec: match self.lake_settings.compression {
                Compression::Zstd(level) => Codec::Zstd(level),
                Compression::Snappy => Codec::Snappy,
                Compression::Uncompressed => Codec::Uncompressed,
            },
            row_group_rows: self.lake_settings.row_group_rows,
            // A metric's column is its id, any other's the snake case of its key.
            bloom_columns: bloom.iter().flat_map(|source| [snake_case(source), source.clone()]).collect(),
        }
    }
}

pub(super) fn open_lake(settings: &LakeSettings) -> Result<Lake, Failure> {
    Ok(Lake::open(&lake_location(settings))?)
}

pub(super) fn lake_location(settings: &LakeSettings) -> LakeLocation {
    let options = settings.options.iter().map(|(key, value)| (key.clone(), value.reveal().to_owned())).collect();
    LakeLocation { url: settings.url.clone(), options }
}

pub(super) fn tenant_settings<'a>(settings: &'a Settings, tenant: &str) -> Result<&'a TenantSettings, Failure> {
    settings.tenants.get(tenant).ok_or_else(|| Failure::defect(format!("find the settings of the tenant {tenant}")))
}

/// Signs in, reads zone and catalog, and finds the registry version for this run.
pub(super) async fn prepare(
    preflight: &Preflight,
    client: &Client,
    settings: &Settings,
    reports: &[&ReportSettings],
    environment: &Environment,
) -> Result<TenantReady, Failure> {
    let Some(tenant) = reports.first().map(|report| report.tenant.as_str()) else {
        return Err(Failure::defect("prepare a tenant without reports"));
    };
    let tenant_settings = tenant_settings(settings, tenant)?;
    let region = client.sign_in().await?;
    let here = client.tenant().await?;
    expected_zone(tenant_settings, here.time_zone)?;
    for permission in &here.missing_permissions {
        tracing::warn!(tenant, permission, "the client does not list a permission that the guide asks for");
    }
    let catalog = client.catalog().await?;
    tracing::info!(tenant, region, time_zone = here.time_zone.name(), metrics = catalog.len(), "signed in");
    let evolution = EvolutionInput {
        catalog,
        overrides: overrides(tenant_settings),
        // The registry is the tenant's: it holds the columns of all its reports, also of those that
        // this run leaves out.
        requests: settings.reports.values().filter(|report| report.tenant == tenant).map(report_request).collect(),
        now: environment.now_text(),
    };
    let store = preflight.registry(settings, tenant)?;
    let Evolution { version, is_new, drift, warnings } = evolution.evolve(tenant, &store).await?;
    Ok(TenantReady {
        tenant: tenant.to_owned(),
        time_zone: here.time_zone,
        missing_permissions: here.missing_permissions,
        registry: version,
        store,
        warnings,
        registry_is_new: is_new,
        drift,
        evolution,
    })
}

fn expected_zone(settings: &TenantSettings, reported: Tz) -> Result<(), Failure> {
    match settings.time_zone {
        Some(expected) if expected != reported => Err(Failure::configuration(format!(
            "accept the tenant's time zone: it reports {}, the configuration expects {}",
            reported.name(),
            expected.name()
        ))
        .hint("windows follow the tenant's zone: correct or leave out time_zone in the tenant")),
        _ => Ok(()),
    }
}

fn overrides(settings: &TenantSettings) -> BTreeMap<String, MetricOverride> {
    let given = settings.custom_metrics.iter();
    given
        .map(|(id, metric)| {
            let CustomMetric { required, column_type, precision, schema } = metric.clone();
            (id.clone(), MetricOverride { required, column_type, precision, schema })
        })
        .collect()
}

fn report_request(report: &ReportSettings) -> ReportRequest {
    let standard = |column: &StandardColumn| StandardColumnRequest {
        source: column.source.clone(),
        name: column.name.clone(),
        column_type: column.column_type,
        required: column.required,
        constraints: column.constraints.clone(),
    };
    ReportRequest {
        name: report.name.clone(),
        group: report.group.as_ref().map(|group| group.id.clone()),
        group_by: report.group_by.iter().map(standard).collect(),
        metrics: report.metrics.iter().map(standard).collect(),
        custom_metrics: match &report.custom_metrics {
            CustomMetricSelection::Wildcard(_) => Selection::All,
            CustomMetricSelection::Listed(names) => Selection::Listed(names.clone()),
        },
    }
}

impl EvolutionInput {
    /// The registry as it should be now, from its newest version.
    async fn evolve(&self, tenant: &str, store: &RegistryStore) -> Result<Evolution, Failure> {
        let newest = store.newest().await?;
        let evolution =
            evolve(tenant, newest.as_ref(), &self.catalog, &self.overrides, &self.requests, self.now.clone())?;
        for warning in &evolution.warnings {
            tracing::warn!(tenant, "{warning}");
        }
        for event in &evolution.drift {
            tracing::warn!(tenant, kind = event.kind.name(), metric = event.id, "drift: {}", event.detail);
        }
        Ok(evolution)
    }
}

impl TenantReady {
    async fn look_at_registry(&mut self) -> Result<(), Failure> {
        let Evolution { version, is_new, drift, warnings } = self.evolution.evolve(&self.tenant, &self.store).await?;
        (self.registry, self.registry_is_new, self.drift, self.warnings) = (version, is_new, drift, warnings);
        Ok(())
    }

    /// The same as the tenant's catalog and the registry are now.
    pub(super) async fn looked_again(&self, client: &Client, now: String) -> Result<Self, Failure> {
        let mut ready = self.clone();
        ready.evolution.catalog = client.catalog().await?;
        ready.evolution.now = now;
        ready.look_at_registry().await?;
        Ok(ready)
    }

    /// The same with its registry version in the lake. Where another run made the number first, the
    /// comparison is made again with that run's version.
    pub(super) async fn with_registry_written(mut self, lake: &Lake) -> Result<Self, Failure> {
        let is_first = self.registry_is_new && self.registry.version == 1;
        // A lake can be new where the registry, which may be elsewhere, is not.
        if is_first || !has_committed(lake, &self.tenant).await? {
            probe_first_write(lake, &self.tenant).await?;
        }
        for _ in 0..REGISTRY_RACES {
            if !self.registry_is_new {
                return Ok(self);
            }
            // A folder of the user's is not for probes; a local one keeps conditions.
            if self.registry.version == 1 && !self.store.lake().is_local() {
                probe_first_write(self.store.lake(), &self.tenant).await?;
            }
            if self.store.write(&self.registry).await? {
                return Ok(self);
            }
            self.look_at_registry().await?;
        }
        Err(Failure::unavailable("write a registry version: other runs keep making the same number")
            .hint("run it again"))
    }

    /// How a report's records become rows, and the ids of the custom metrics that it asks for.
    pub(super) fn decode_plan(&self, report: &ReportSettings) -> Result<(DecodePlan, Vec<String>), Failure> {
        let columns = self.columns(report)?;
        let metrics = columns
            .columns
            .iter()
            .filter(|column| column.requested && column.origin == crate::registry::ColumnOrigin::CustomMetric)
            .map(|column| column.source.clone())
            .collect();
        let plan = compile_plan(report, columns, self.registry.version)?;
        Ok((plan, metrics))
    }
}

impl TenantReady {
    /// Reads a report's window, and how its records become rows.
    pub(super) fn reader(
        &self,
        client: &Client,
        report: &ReportSettings,
        window: &Window,
    ) -> Result<(DecodePlan, ReportReader), Failure> {
        let (plan, custom_metrics) = self.decode_plan(report)?;
        let request = self.request(report, window, custom_metrics, &report.group_by);
        Ok((plan, ReportReader::new(client.clone(), request)))
    }

    /// Reads a window's totals: the same request without the key, and without the time, in `groupBy`.
    pub(super) fn totals_reader(
        &self,
        client: &Client,
        report: &ReportSettings,
        window: &Window,
    ) -> Result<ReportReader, Failure> {
        let (_, custom_metrics) = self.decode_plan(report)?;
        let is_group = |column: &&StandardColumn| {
            !report.key.contains(&column.source) && !matches!(column.column_type, ColumnType::Timestamp)
        };
        let group_by: Vec<StandardColumn> = report.group_by.iter().filter(is_group).cloned().collect();
        let request = self.request(report, window, custom_metrics, &group_by);
        Ok(ReportReader::new(client.clone(), request))
    }

    fn request(
        &self,
        report: &ReportSettings,
        window: &Window,
        custom_metrics: Vec<String>,
        group_by: &[StandardColumn],
    ) -> cxone::ReportRequest {
        let sources = |columns: &[StandardColumn]| columns.iter().map(|column| column.source.clone()).collect();
        cxone::ReportRequest {
            report: report.report.clone(),
            metrics: sources(&report.metrics),
            custom_metrics,
            group_by: sources(group_by),
            group: report.group.clone(),
            from: window.first_instant(),
            to: window.last_instant(),
            time_zone: self.time_zone.name().to_owned(),
            label: cxone::RequestLabel {
                tenant: report.tenant.clone(),
                report: report.name.clone(),
                window: window.name(),
            },
        }
    }

    /// The columns of a report in the registry version of this run.
    pub(super) fn columns(&self, report: &ReportSettings) -> Result<&ReportColumns, Failure> {
        self.registry
            .reports
            .get(&report.name)
            .ok_or_else(|| Failure::defect(format!("find the columns of reports.{} in the registry", report.name)))
    }
}

/// How a report's records become rows of these columns under the rules of a registry version.
pub(super) fn compile_plan(
    report: &ReportSettings,
    columns: &ReportColumns,
    registry_version: u32,
) -> Result<DecodePlan, Failure> {
    DecodePlan::compile(PlanRequest {
        columns,
        registry_version,
        key: &report.key,
        time_column: report.time_column.as_deref(),
        unknown_keys: match report.policy.unknown_key {
            UnknownKeyPolicy::Keep => UnknownKeys::Keep,
            UnknownKeyPolicy::Quarantine => UnknownKeys::Quarantine,
        },
        max_record_bytes: report.max_record_bytes,
    })
}

/// Whether a lake has something of a tenant whose writing was preceded by a probe.
async fn has_committed(lake: &Lake, tenant: &str) -> Result<bool, Failure> {
    let folders = lake.folders(&tenant_folder(tenant)).await?;
    Ok(folders.iter().any(|folder| !matches!(folder.as_str(), "metric_catalog" | "probe" | "runs")))
}

/// Before the first write to a tenant's lake: does the store keep conditions?
async fn probe_first_write(lake: &Lake, tenant: &str) -> Result<(), Failure> {
    let folder = format!("{}/probe", tenant_folder(tenant));
    Ok(probe_conditions(lake, &folder, &uuid::Uuid::now_v7().to_string()).await?)
}
