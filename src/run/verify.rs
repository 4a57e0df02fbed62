//! A lake against its manifests.

use cxlake_sinks::lake::{Findings, Lake, verify_report};

use super::RunRequest;
use super::preflight::lake_location;
use crate::settings::Settings;
use crate::vocabulary::Failure;

/// Verifies the reports that are asked for.
///
/// # Errors
/// Where the lake cannot be read.
pub async fn verify(settings: &Settings, request: &RunRequest) -> Result<Findings, Failure> {
    let lake = Lake::open_existing(&lake_location(&settings.lake))?;
    let mut all = Findings::default();
    for report in request.reports(settings)? {
        let found = verify_report(&lake, &report.tenant, &report.name).await?;
        all.findings.extend(found.findings);
        all.notes.extend(found.notes);
        all.windows += found.windows;
        all.objects += found.objects;
        all.rows += found.rows;
    }
    Ok(all)
}
