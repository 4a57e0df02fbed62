//! When a run goes on: outside of quiet hours, and within the tenant's quota.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::Environment;
use super::plan::total;
use super::preflight::{TenantReady, tenant_settings};
use crate::cxone::{Client, Quota};
use crate::settings::limits::{COUNTED_WINDOWS, LARGE_RUN_HOURS};
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::{Failure, QuietHours};
use crate::window::Window;

/// How often a long wait looks at the clock.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// Whether a run of these windows waits outside of quiet hours.
pub(super) fn is_large(windows: &[(&ReportSettings, Window)]) -> bool {
    let length: TimeDelta = windows.iter().map(|(_, window)| window.end - window.start).sum();
    length > TimeDelta::hours(LARGE_RUN_HOURS)
}

/// The quiet hours that concern a run: those of its tenant where it is large, else none.
pub(super) fn quiet_hours(settings: &Settings, tenant: &str, is_large: bool) -> Result<Vec<QuietHours>, Failure> {
    let hours = &tenant_settings(settings, tenant)?.quiet_hours;
    Ok(if is_large { hours.clone() } else { Vec::new() })
}

/// Waits until no quiet hours are on.
pub(super) async fn wait_outside_quiet_hours(quiet_hours: &[QuietHours], zone: Tz, environment: &Environment) {
    let clock = &environment.surroundings.clock;
    let mut is_told = false;
    while let Some(wait) = remaining(quiet_hours, zone, clock.now()) {
        if !std::mem::replace(&mut is_told, true) {
            tracing::info!(seconds = wait.as_secs(), "quiet hours: a large run goes on after them");
        }
        // A machine that slept meanwhile would sleep on through the hours that were waited for.
        tokio::time::sleep(clock.machine_time(wait.min(LOOK_AT_CLOCK))).await;
    }
}

pub(super) fn remaining(quiet_hours: &[QuietHours], zone: Tz, now: DateTime<Utc>) -> Option<Duration> {
    let local = now.with_timezone(&zone).time();
    quiet_hours.iter().filter_map(|hours| hours.remaining(local)).max()
}

/// Makes sure that the calls of a run fit in what is left of the tenant's quota.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Unavailable`] where they do not, before anything is extracted.
pub(super) async fn fits_the_quota(
    client: &Client,
    ready: &TenantReady,
    windows: &[(&ReportSettings, Window)],
    environment: &Environment,
) -> Result<(), Failure> {
    let Some(quota) = client.quota().await else { return Ok(()) };
    let most: u64 = windows.iter().map(|(report, _)| report.max_window_records.div_ceil(report.page_records)).sum();
    if most <= quota.remaining {
        return Ok(());
    }
    let mut needed = 0;
    let mut left = windows.len() as u64;
    for (report, window) in windows.iter().take(COUNTED_WINDOWS) {
        // More is not asked of a quota that cannot even bear the question.
        if quota.remaining < needed + left {
            break;
        }
        let records = total(client, ready, report, *window).await?;
        needed += 1 + records.div_ceil(report.page_records).max(1);
        left -= 1;
    }
    // A window that was not asked for its total is like the others, or takes a call at least.
    let counted = windows.len() as u64 - left;
    needed += left * needed.checked_div(counted).unwrap_or(1).max(1);
    if needed <= quota.remaining {
        return Ok(());
    }
    if needed > quota.limit {
        let (limit, remaining) = (quota.limit, quota.remaining);
        tracing::warn!(
            needed,
            limit,
            remaining,
            "the run needs more calls than the quota ever has: it will be throttled"
        );
        return Ok(());
    }
    Err(spent(&quota, needed, environment.surroundings.clock.now()))
}

pub(super) fn spent(quota: &Quota, needed: u64, now: DateTime<Utc>) -> Failure {
    let reset = quota.reset_at.as_deref().and_then(|reset| reset.parse::<DateTime<Utc>>().ok());
    let wait = reset.map(|reset| (reset - now).num_seconds().max(1).unsigned_abs());
    let failure = Failure::unavailable(format!(
        "fit in the tenant's quota: the run needs about {needed} calls, {} of {} are left",
        quota.remaining, quota.limit
    ))
    .hint("run it after the quota's reset, or ask for fewer days");
    match wait {
        Some(wait) => failure.retry_after(wait),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_hours_are_those_of_the_tenants_zone() {
        let hours: Vec<QuietHours> = vec!["08:00-18:00".parse().unwrap()];
        let at = |text: &str| remaining(&hours, chrono_tz::America::New_York, text.parse().unwrap());
        assert_eq!(at("2024-01-01T12:59:00Z"), None);
        assert_eq!(at("2024-01-01T13:00:00Z"), Some(Duration::from_secs(10 * 3600)));
        assert_eq!(at("2024-07-01T12:00:00Z"), Some(Duration::from_secs(10 * 3600)));
    }
}
