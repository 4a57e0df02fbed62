//! What interrupted and replaced runs left in a lake, removed once it is old enough.

use chrono::{DateTime, TimeDelta, Utc};
use cxlake_sinks::lake::{Lake, Leftover, leftovers, remove_leftover};

use super::preflight::lake_location;
use super::{Environment, RunRequest};
use crate::settings::Settings;
use crate::vocabulary::Failure;

/// What may be removed.
#[derive(Clone, Debug)]
pub struct VacuumRequest {
    /// Tenants and reports; its span is not used.
    pub selection: RunRequest,
    /// What is younger may be a run's that is on its way.
    pub older_than: TimeDelta,
    /// Finds, and removes nothing.
    pub dry_run: bool,
}

/// What was, or would be, removed.
///
/// # Errors
/// Where the lake cannot be read, or the store refuses to remove.
pub async fn vacuum(
    settings: &Settings,
    request: &VacuumRequest,
    environment: &Environment,
) -> Result<Vec<Leftover>, Failure> {
    let lake = Lake::open_existing(&lake_location(&settings.lake)).await?;
    let youngest = environment.surroundings.clock.now().checked_sub_signed(request.older_than);
    let youngest = youngest.unwrap_or(DateTime::<Utc>::MIN_UTC);
    let mut found = Vec::new();
    for report in request.selection.reports(settings)? {
        let of_report = leftovers(&lake, &report.tenant, &report.name).await?;
        found.extend(of_report.into_iter().filter(|leftover| leftover.modified <= youngest));
    }
    // A tenant's own are found with each of its reports.
    found.sort_by(|left, right| left.key.cmp(&right.key));
    found.dedup();
    if !request.dry_run {
        for leftover in &found {
            remove_leftover(&lake, leftover).await?;
        }
    }
    Ok(found)
}
