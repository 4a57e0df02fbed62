//! Floor 4: stages and bounded queues, nothing clever.
//!
//! ```text
//! fetch (async tasks) ─ page queue ─▶ type (a thread) ─ batch queue ─▶ write (a thread)
//! ```
//!
//! A queue that is full stops the stage before it, so a slow disk slows the tenant's polling, and
//! memory does not grow with the extract.

mod column_stage;
mod write_stage;

use std::path::PathBuf;
use std::sync::Arc;

use cxlake_sinks::failure::SinkFailure;
use cxlake_sinks::parquet::{ParquetOptions, ParquetWriter};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Span;

use crate::columns::{DecodePlan, Typed};
use crate::extraction::{Delivered, Interruption, PageReader, PagingLimits, deliver};
use crate::settings::limits::{BATCH_QUEUE, PAGE_QUEUE};
use crate::vocabulary::{Clock, Failure, Progress, StageTime, Stopwatch};
use crate::window::Window;

/// One window to extract.
pub struct WindowJob {
    /// The window.
    pub window: Window,
    /// The tenant's zone.
    pub time_zone: String,
    /// How records become rows.
    pub plan: Arc<DecodePlan>,
    /// How Parquet is written.
    pub parquet: ParquetOptions,
    /// Where temporary files are.
    pub folder: PathBuf,
    /// Bounds of the paging.
    pub paging: PagingLimits,
    /// Who is told.
    pub progress: Arc<dyn Progress>,
    /// What stages are timed by.
    pub clock: Arc<dyn Clock>,
}

/// A window's records, typed and written to two files that only lack their footers.
#[derive(Debug)]
pub struct ExtractedWindow {
    /// Records that the tenant says there are.
    pub expected: u64,
    /// What became of them.
    pub typed: Typed,
    /// Accepted rows.
    pub data: ParquetWriter,
    /// Rejects.
    pub quarantine: ParquetWriter,
    /// Where the time went.
    pub times: StageTimes,
}

/// Where a window's time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Pages from the tenant.
    pub fetching: StageTime,
    /// Pages into batches.
    pub typing: StageTime,
    /// Batches into Parquet, without what ends the files.
    pub writing: StageTime,
}

/// Why a window was not extracted.
#[derive(Debug)]
pub enum WindowFault {
    /// The tenant refuses or fails, or there is a defect.
    Failed(Failure),
    /// The disk fails.
    Disk(SinkFailure),
    /// The data moved while it was paged: read the window again.
    Unstable(String),
}

/// Extracts a window into temporary files.
///
/// # Errors
/// See [`WindowFault`]. The temporary files are gone then.
pub async fn extract_window<R: PageReader>(reader: Arc<R>, job: WindowJob) -> Result<ExtractedWindow, WindowFault> {
    let (page_sender, page_receiver) = mpsc::channel(PAGE_QUEUE);
    let (batch_sender, batch_receiver) = std::sync::mpsc::sync_channel(BATCH_QUEUE);
    let (paging, stopwatch) = (job.paging, Stopwatch::start(Arc::clone(&job.clock)));
    let writing = write_stage::start(&job, batch_receiver)?;
    let typing = column_stage::start(job, page_receiver, batch_sender);
    let delivered = deliver(reader, paging, page_sender, stopwatch).await;
    let typed = typing.await;
    let written = writing.await;
    // A stage that fails closes its queue, and the stages before it only see that. So the last
    // stage's reason counts first.
    let (data, quarantine, writing) = match written {
        Ok(written) => written.map_err(WindowFault::Disk)?,
        Err(_) => return Err(WindowFault::Failed(Failure::defect("write batches: the thread ended early"))),
    };
    let (typed, typing) = match typed {
        Ok(typed) => typed.map_err(WindowFault::Failed)?,
        Err(_) => return Err(WindowFault::Failed(Failure::defect("type pages: the thread ended early"))),
    };
    match delivered {
        Ok(Delivered { total, time: fetching }) => {
            let times = StageTimes { fetching, typing, writing };
            Ok(ExtractedWindow { expected: total, typed, data, quarantine, times })
        }
        Err(Interruption::Failed(failure)) => Err(WindowFault::Failed(failure)),
        Err(Interruption::Unstable(reason)) => Err(WindowFault::Unstable(reason)),
        Err(Interruption::Closed) => Err(WindowFault::Failed(Failure::defect("deliver pages: nobody takes them"))),
    }
}

/// Starts a stage on a thread of its own, in its span. Threads are used again, window after window: a new thread
/// would leave its share of the allocator's memory behind each time.
fn start_thread<T: Send + 'static>(span: Span, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(move || span.in_scope(work))
}
