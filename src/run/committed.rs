//! Committed windows as commands that need no tenant find them.

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use cxlake_sinks::lake::{Done, History, Lake, READS_AT_ONCE, WindowAddress, WindowCommit, committed_windows};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::RunRequest;
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::Failure;
use crate::window::Window;

/// The days whose windows are meant: from the first to before the last; all, where none is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommittedDays {
    /// The first day.
    pub from: Option<NaiveDate>,
    /// The first day that is not meant.
    pub to: Option<NaiveDate>,
}

impl CommittedDays {
    pub(super) fn contains(self, date: NaiveDate) -> bool {
        self.from.is_none_or(|from| from <= date) && self.to.is_none_or(|to| date < to)
    }
}

/// A committed window, and what its done says.
#[derive(Clone, Debug)]
pub(super) struct CommittedWindow<'a> {
    pub(super) report: &'a ReportSettings,
    pub(super) address: WindowAddress,
    pub(super) window: Window,
    pub(super) time_zone: Tz,
    pub(super) done: Done,
    pub(super) history: History,
}

/// The committed windows of the reports that are asked for, in the order of time.
pub(super) async fn find<'a>(
    settings: &'a Settings,
    request: &RunRequest,
    days: CommittedDays,
    lake: &Lake,
) -> Result<Vec<CommittedWindow<'a>>, Failure> {
    let mut found = Vec::new();
    for report in request.reports(settings)? {
        let windows = committed_windows(lake, &report.tenant, &report.name, |date| days.contains(date)).await?;
        let looks = windows.into_iter().map(|address| look(lake, report, address));
        let mut looks = stream::iter(looks).buffered(READS_AT_ONCE);
        while let Some(window) = looks.try_next().await? {
            found.extend(window);
        }
    }
    Ok(found)
}

async fn look<'a>(
    lake: &Lake,
    report: &'a ReportSettings,
    address: WindowAddress,
) -> Result<Option<CommittedWindow<'a>>, Failure> {
    let history = WindowCommit { lake, address: &address }.look().await?;
    let Some(done) = history.newest_done.clone() else { return Ok(None) };
    let (window, time_zone) = bounds(&address, &done)?;
    Ok(Some(CommittedWindow { report, address, window, time_zone, done, history }))
}

fn bounds(address: &WindowAddress, done: &Done) -> Result<(Window, Tz), Failure> {
    let instant = |text: &str| text.parse::<DateTime<Utc>>().ok();
    match (instant(&done.window.start), instant(&done.window.end), done.window.time_zone.parse()) {
        (Some(start), Some(end), Ok(zone)) => Ok((Window { start, end, date: address.date }, zone)),
        _ => Err(Failure::new(
            crate::vocabulary::FailureKind::Mismatch,
            format!("read the manifest of the window {}: its bounds make no sense", address.window),
        )
        .hint("`cxlake verify` lists what is wrong with the lake")),
    }
}
