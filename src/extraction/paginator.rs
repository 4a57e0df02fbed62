//! Paging by offset with several pages in flight, or by cursor; pages come out in order.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument as _;
use twox_hash::XxHash3_128;

use super::checks::WindowChecks;
use crate::cxone::{PageAnswer, Place, ReportReader};
use crate::settings::limits::EMPTY_PAGE_RETRIES;
use crate::vocabulary::{Failure, Page, StageTime, Stopwatch};

/// Reads single pages.
pub trait PageReader: Send + Sync + 'static {
    /// Reads one page of at most `limit` records.
    fn page(&self, place: &Place, limit: u64) -> impl Future<Output = Result<PageAnswer, Failure>> + Send;
}

impl PageReader for ReportReader {
    async fn page(&self, place: &Place, limit: u64) -> Result<PageAnswer, Failure> {
        let span = tracing::info_span!("page", offset = place.offset().cast_signed(), limit = limit.cast_signed());
        Self::page(self, place, limit).instrument(span).await
    }
}

/// Bounds of a window's paging.
#[derive(Clone, Copy, Debug)]
pub struct PagingLimits {
    /// Records asked for in one page.
    pub page_records: u64,
    /// Pages asked for at the same time.
    pub pages_in_flight: usize,
    /// Bytes of all pages in flight.
    pub in_flight_bytes: u64,
    /// The most records of a window.
    pub max_window_records: u64,
    /// Whether pages overlap by a record, to prove that nothing moved between them.
    pub check_overlap: bool,
}

/// What a window delivers: its total first, then its pages in order.
#[derive(Debug)]
pub enum Delivery {
    /// Records of the window, as the tenant says.
    Total(u64),
    /// The next page.
    Page(Page),
}

/// A window that was delivered whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its records.
    pub total: u64,
    /// How long pages were fetched, and how long nobody took them.
    pub time: StageTime,
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
        /// The empty pages just before.
        empty_pages: u32,
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
    stopwatch: Stopwatch,
) -> Result<Delivered, Interruption> {
    let mut state = State::Begin;
    let checks = WindowChecks::new(0);
    let mut window = Window { reader, limits, out, stopwatch, checks, total: 0, largest_page: 0, last_record: None };
    loop {
        state = match state {
            State::Begin => window.begin().await?,
            State::Cursor { cursor, offset, empty_pages } => window.follow(cursor, offset, empty_pages).await?,
            State::Probe { offset, longest } => window.probe(offset, longest).await?,
            State::Offsets { offset, step } => window.read_rest(offset, step).await?,
            State::End => {
                window.checks.end().map_err(Interruption::Unstable)?;
                window.stopwatch.worked();
                return Ok(Delivered { total: window.total, time: window.stopwatch.time() });
            }
        }
    }
}

struct Window<R> {
    reader: Arc<R>,
    limits: PagingLimits,
    out: mpsc::Sender<Delivery>,
    stopwatch: Stopwatch,
    checks: WindowChecks,
    total: u64,
    /// The longest body so far.
    largest_page: u64,
    /// The hash of the last record that was passed on.
    last_record: Option<u128>,
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
        if length == 0 && self.total > 0 && next_cursor.is_none() {
            return Ok(State::Probe { offset: 0, longest: 0 });
        }
        self.pass_on(answer).await?;
        Ok(match next_cursor {
            Some(cursor) => State::Cursor { cursor, offset: length, empty_pages: u32::from(length == 0) },
            None if length >= self.total => State::End,
            None if length >= limit => State::Offsets { offset: length, step: limit },
            None => State::Probe { offset: length, longest: length },
        })
    }

    async fn follow(&mut self, cursor: String, offset: u64, empty_pages: u32) -> Result<State, Interruption> {
        let place = Place::Cursor { cursor, offset };
        let answer = self.reader.page(&place, self.limits.page_records).await?;
        let next_cursor = answer.next_cursor.clone();
        let length = answer.page.record_count();
        let empty_pages = if length == 0 { empty_pages + 1 } else { 0 };
        if empty_pages > EMPTY_PAGE_RETRIES && next_cursor.is_some() {
            return Err(Interruption::Unstable(format!("an empty page at {offset}, before the end")));
        }
        self.pass_on(answer).await?;
        Ok(match next_cursor {
            Some(cursor) => State::Cursor { cursor, offset: offset + length, empty_pages },
            None => State::End,
        })
    }

    /// Reads one page to learn the tenant's cap: a page that is shorter than asked for may be
    /// capped, or short just once.
    async fn probe(&mut self, offset: u64, longest: u64) -> Result<State, Interruption> {
        let limit = self.limits.page_records;
        let range = offset..(offset + limit).min(self.total);
        let answer = read_some(&*self.reader, range, limit).await?;
        let next_cursor = answer.next_cursor.clone();
        let length = answer.page.record_count();
        self.pass_on(answer).await?;
        let (offset, step) = (offset + length, length.max(longest));
        Ok(match next_cursor {
            Some(cursor) => State::Cursor { cursor, offset, empty_pages: 0 },
            None if offset >= self.total => State::End,
            None => State::Offsets { offset, step },
        })
    }

    /// Reads the rest in ranges, several at a time. Each has a task of its own, so that a page in
    /// flight arrives even while nobody takes the pages before it.
    async fn read_rest(&mut self, offset: u64, step: u64) -> Result<State, Interruption> {
        // An overlapping record takes a place in the page.
        let overlap = u64::from(self.limits.check_overlap && step > 1);
        let mut next = offset;
        let mut flying = FuturesOrdered::new();
        loop {
            while next < self.total && flying.len() < self.pages_at_once() {
                let range = next - overlap..(next + step - overlap).min(self.total);
                next = range.end;
                // The last page too is asked for with the whole limit: from a tenant that ignores the offset it is then equal
                // to an earlier one, where a shorter one would be of records that look like the tenant's own duplicates.
                let is_last = next == self.total;
                let reader = Arc::clone(&self.reader);
                flying.push_back(Task::spawn(read_range(reader, range, is_last.then_some(step))).join());
            }
            let Some(pages) = flying.next().await else { return Ok(State::End) };
            let mut pages = pages?;
            if overlap > 0 {
                self.match_overlap(&mut pages)?;
            }
            for answer in pages {
                self.pass_on(answer).await?;
            }
        }
    }

    /// Pages that may be in flight: fewer of large ones, for what they take together is bounded.
    fn pages_at_once(&self) -> usize {
        let by_size = self.limits.in_flight_bytes / self.largest_page.max(1);
        usize::try_from(by_size).unwrap_or(usize::MAX).clamp(1, self.limits.pages_in_flight)
    }

    /// Takes the first record off a range: it must be the last of the range before.
    fn match_overlap(&self, pages: &mut [PageAnswer]) -> Result<(), Interruption> {
        let Some(first) = pages.first_mut() else { return Ok(()) };
        let hash = first.page.record_bytes().next().map(XxHash3_128::oneshot);
        if hash.is_none() || hash != self.last_record {
            let offset = first.page.first_offset;
            return Err(Interruption::Unstable(format!("the record {offset} is another when it is read again")));
        }
        first.page.take_off_first();
        Ok(())
    }

    async fn pass_on(&mut self, answer: PageAnswer) -> Result<(), Interruption> {
        self.checks.page(&answer).map_err(Interruption::Unstable)?;
        self.largest_page = self.largest_page.max(answer.page.body.len() as u64);
        if self.limits.check_overlap {
            self.last_record = answer.page.record_bytes().last().map(XxHash3_128::oneshot).or(self.last_record);
        }
        self.send(Delivery::Page(answer.page)).await
    }

    async fn send(&mut self, delivery: Delivery) -> Result<(), Interruption> {
        self.stopwatch.worked();
        let sent = self.out.send(delivery).await.map_err(|_| Interruption::Closed);
        self.stopwatch.waited_for_output();
        sent
    }
}

/// Reads a range of records, in as many pages as the tenant needs for it. Each is asked for with `limit`, or with what is
/// left of the range.
async fn read_range<R: PageReader>(
    reader: Arc<R>,
    range: Range<u64>,
    limit: Option<u64>,
) -> Result<Vec<PageAnswer>, Interruption> {
    let mut pages = Vec::new();
    let mut offset = range.start;
    while offset < range.end {
        let answer = read_some(&*reader, offset..range.end, limit.unwrap_or(range.end - offset)).await?;
        offset += answer.page.record_count();
        pages.push(answer);
    }
    Ok(pages)
}

/// Reads at least one record of a range that is not empty, and none behind it, though `limit` may be more.
async fn read_some<R: PageReader>(reader: &R, range: Range<u64>, limit: u64) -> Result<PageAnswer, Interruption> {
    let most = range.end - range.start;
    for _ in 0..=EMPTY_PAGE_RETRIES {
        let answer = reader.page(&Place::Offset(range.start), limit).await?;
        match answer.page.record_count() {
            0 => {}
            length if length <= most => return Ok(answer),
            length => {
                return Err(Interruption::Unstable(format!(
                    "{length} records at {} where {most} were expected",
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
        Self(tokio::spawn(future.in_current_span()))
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
