//! Paging by offset with several pages in flight, or by cursor; pages come out in order.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::checks::WindowChecks;
use crate::cxone::{PageAnswer, Place, ReportReader};
use crate::settings::limits::EMPTY_PAGE_RETRIES;
use crate::vocabulary::{Failure, Page};

/// Reads single pages.
pub trait PageReader: Send + Sync + 'static {
    /// Reads one page of at most `limit` records.
    fn page(&self, place: &Place, limit: u64) -> impl Future<Output = Result<PageAnswer, Failure>> + Send;
}

impl PageReader for ReportReader {
    async fn page(&self, place: &Place, limit: u64) -> Result<PageAnswer, Failure> {
        Self::page(self, place, limit).await
    }
}

/// Bounds of a window's paging.
#[derive(Clone, Copy, Debug)]
pub struct PagingLimits {
    /// Records asked for in one page.
    pub page_records: u64,
    /// Pages asked for at the same time.
    pub pages_in_flight: usize,
    /// The most records of a window.
    pub max_window_records: u64,
}

/// What a window delivers: its total first, then its pages in order.
#[derive(Debug)]
pub enum Delivery {
    /// Records of the window, as the tenant says.
    Total(u64),
    /// The next page.
    Page(Page),
}

/// Why a window was not delivered whole.
#[derive(Clone, Debug, PartialEq)]
pub enum Interruption {
    /// The tenant refuses or fails.
    Failed(Failure),
    /// The data moved while it was paged: read the window again.
    Unstable(String),
    /// Nobody takes the pages any more.
    Closed,
}

impl From<Failure> for Interruption {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Where the paging of a window is.
enum State {
    /// Nothing is known; the first page tells the total and the way of paging.
    Begin,
    /// The tenant pages by cursor.
    Cursor {
        cursor: String,
        offset: u64,
    },
    /// The tenant's page is as long as was asked for, or its cap is not known yet: `longest` is the
    /// longest page so far.
    Probe {
        offset: u64,
        longest: u64,
    },
    /// The rest is read in steps that the tenant keeps to, several at a time.
    Offsets {
        offset: u64,
        step: u64,
    },
    End,
}

/// Reads a window and sends its pages in order. Its memory is that of the pages in flight: while
/// nobody takes pages, no further one is asked for.
///
/// # Errors
/// [`Interruption::Unstable`] where the pages do not add up to one total.
pub async fn deliver<R: PageReader>(
    reader: Arc<R>,
    limits: PagingLimits,
    out: mpsc::Sender<Delivery>,
) -> Result<u64, Interruption> {
    let mut state = State::Begin;
    let mut window = Window { reader, limits, out, checks: WindowChecks::new(0), total: 0 };
    loop {
        state = match state {
            State::Begin => window.begin().await?,
            State::Cursor { cursor, offset } => window.follow(cursor, offset).await?,
            State::Probe { offset, longest } => window.probe(offset, longest).await?,
            State::Offsets { offset, step } => window.read_rest(offset, step).await?,
            State::End => {
                window.checks.end().map_err(Interruption::Unstable)?;
                return Ok(window.total);
            }
        }
    }
}

struct Window<R> {
    reader: Arc<R>,
    limits: PagingLimits,
    out: mpsc::Sender<Delivery>,
    checks: WindowChecks,
    total: u64,
}

impl<R: PageReader> Window<R> {
    async fn begin(&mut self) -> Result<State, Interruption> {
        let limit = self.limits.page_records;
        let answer = self.reader.page(&Place::Offset(0), limit).await?;
        self.total = answer.total;
        if self.total > self.limits.max_window_records {
            let most = self.limits.max_window_records;
            return Err(Interruption::Failed(
                Failure::configuration(format!("extract the window: it has {} records, more than {most}", self.total))
                    .hint("set window = \"hour\" in the report, or raise max_window_records"),
            ));
        }
        self.checks = WindowChecks::new(self.total);
        self.send(Delivery::Total(self.total)).await?;
        let next_cursor = answer.next_cursor.clone();
        let length = answer.page.record_count();
        if length == 0 && self.total > 0 {
            return Ok(State::Probe { offset: 0, longest: 0 });
        }
        self.pass_on(answer).await?;
        Ok(match next_cursor {
            Some(cursor) => State::Cursor { cursor, offset: length },
            None if length >= self.total => State::End,
            None if length >= limit => State::Offsets { offset: length, step: limit },
            None => State::Probe { offset: length, longest: length },
        })
    }

    async fn follow(&mut self, cursor: String, offset: u64) -> Result<State, Interruption> {
        let place = Place::Cursor { cursor, offset };
        let answer = self.reader.page(&place, self.limits.page_records).await?;
        let next_cursor = answer.next_cursor.clone();
        let length = answer.page.record_count();
        if length == 0 && next_cursor.is_some() {
            return Err(Interruption::Unstable(format!("an empty page at {offset}, before the end")));
        }
        self.pass_on(answer).await?;
        Ok(match next_cursor {
            Some(cursor) => State::Cursor { cursor, offset: offset + length },
            None => State::End,
        })
    }

    /// Reads one page to learn the tenant's cap: a page that is shorter than asked for may be
    /// capped, or short just once.
    async fn probe(&mut self, offset: u64, longest: u64) -> Result<State, Interruption> {
        let range = offset..(offset + self.limits.page_records).min(self.total);
        let answer = read_some(&*self.reader, range).await?;
        let length = answer.page.record_count();
        self.pass_on(answer).await?;
        let (offset, step) = (offset + length, length.max(longest));
        Ok(if offset >= self.total { State::End } else { State::Offsets { offset, step } })
    }

    async fn read_rest(&mut self, offset: u64, step: u64) -> Result<State, Interruption> {
        let total = self.total;
        let starts = (offset..total).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let reader = Arc::clone(&self.reader);
        // Each range has a task of its own, so that a page in flight arrives even while nobody
        // takes the pages before it.
        let ranges =
            starts.map(move |start| Task::spawn(read_range(Arc::clone(&reader), start..(start + step).min(total))));
        let mut pages = stream::iter(ranges).map(Task::join).buffered(self.limits.pages_in_flight);
        while let Some(range) = pages.next().await {
            for answer in range? {
                self.pass_on(answer).await?;
            }
        }
        Ok(State::End)
    }

    async fn pass_on(&mut self, answer: PageAnswer) -> Result<(), Interruption> {
        self.checks.page(&answer).map_err(Interruption::Unstable)?;
        self.send(Delivery::Page(answer.page)).await
    }

    async fn send(&self, delivery: Delivery) -> Result<(), Interruption> {
        self.out.send(delivery).await.map_err(|_| Interruption::Closed)
    }
}

/// Reads a range of records, in as many pages as the tenant needs for it.
async fn read_range<R: PageReader>(reader: Arc<R>, range: Range<u64>) -> Result<Vec<PageAnswer>, Interruption> {
    let mut pages = Vec::new();
    let mut offset = range.start;
    while offset < range.end {
        let answer = read_some(&*reader, offset..range.end).await?;
        offset += answer.page.record_count();
        pages.push(answer);
    }
    Ok(pages)
}

/// Reads at least one record of a range that is not empty.
async fn read_some<R: PageReader>(reader: &R, range: Range<u64>) -> Result<PageAnswer, Interruption> {
    let limit = range.end - range.start;
    for _ in 0..=EMPTY_PAGE_RETRIES {
        let answer = reader.page(&Place::Offset(range.start), limit).await?;
        match answer.page.record_count() {
            0 => {}
            length if length <= limit => return Ok(answer),
            length => {
                return Err(Interruption::Unstable(format!(
                    "{length} records at {} where {limit} were asked for",
                    range.start
                )));
            }
        }
    }
    Err(Interruption::Unstable(format!("an empty page at {}, before the end", range.start)))
}

/// A task that ends when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T: Send + 'static> Task<T> {
    fn spawn(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }
}

impl Task<Result<Vec<PageAnswer>, Interruption>> {
    async fn join(mut self) -> Result<Vec<PageAnswer>, Interruption> {
        match (&mut self.0).await {
            Ok(pages) => pages,
            Err(error) => Err(Interruption::Failed(Failure::defect(format!("read a page: {error}")))),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
