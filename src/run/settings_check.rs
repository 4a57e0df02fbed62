//! What of the configuration can be told to be wrong before anybody is called, by those that will use it.

use cxlake_sinks::lake::LakeLocation;

use super::preflight::lake_location;
use super::registry_store::registry_location;
use crate::columns::{RULES_HINT, check_rules};
use crate::settings::{ReportSettings, Settings, TenantSettings};
use crate::vocabulary::{ColumnType, Constraints, Failure};

/// Checks the rules of all columns, and that there is a store for the lake and each registry. No store is opened.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Configuration`], its message begins with "read" and the place of what is wrong.
pub fn check_settings(settings: &Settings) -> Result<(), Failure> {
    known_store("lake.url", &lake_location(&settings.lake))?;
    for tenant in settings.tenants.values() {
        custom_metrics(tenant)?;
        if let Some(registry) = registry_location(settings, &tenant.name)? {
            known_store(&format!("tenants.{}.registry_url", tenant.name), &registry)?;
        }
    }
    settings.reports.values().try_for_each(columns)
}

fn known_store(place: &str, location: &LakeLocation) -> Result<(), Failure> {
    let known = location.known_store().map_err(Failure::from);
    known.map_err(|failure| Failure { message: format!("read {place}: {}", failure.message), ..failure })
}

fn columns(report: &ReportSettings) -> Result<(), Failure> {
    report.group_by.iter().chain(&report.metrics).try_for_each(|column| {
        let place = format!("reports.{}.columns.{}", report.name, column.source);
        rules(&place, column.column_type, &column.constraints)
    })
}

fn custom_metrics(tenant: &TenantSettings) -> Result<(), Failure> {
    tenant.custom_metrics.iter().try_for_each(|(id, metric)| {
        let constraints = Constraints { schema: metric.schema.clone(), ..Constraints::default() };
        // Where the type is the catalog's, this is any to which all keywords apply.
        let column_type = metric.column_type.unwrap_or(ColumnType::String);
        rules(&format!("tenants.{}.custom_metrics.{id}", tenant.name), column_type, &constraints)
    })
}

fn rules(place: &str, column_type: ColumnType, constraints: &Constraints) -> Result<(), Failure> {
    check_rules(column_type, constraints)
        .map_err(|reason| Failure::configuration(format!("read {place}: {reason}")).hint(RULES_HINT))
}
