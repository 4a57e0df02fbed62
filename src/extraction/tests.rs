use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::cxone::{PageAnswer, Place};
use crate::vocabulary::{Failure, Page, Stopwatch, SystemClock};

/// A tenant whose records are the numbers from 0, with faults for the next calls.
#[derive(Default)]
struct Numbers {
    total: u64,
    cap: Option<u64>,
    by_cursor: bool,
    check_overlap: bool,
    ignores_offset: bool,
    shifts_after: Option<u64>,
    calls: Mutex<Vec<(u64, u64)>>,
    faults: Mutex<VecDeque<(u64, Fault)>>,
    gave_cursor: Mutex<bool>,
}

#[derive(Clone, Copy)]
enum Fault {
    Short(u64),
    Total(u64),
    DataOf(u64),
    EmptyWithoutCursor,
}

impl PageReader for Numbers {
    async fn page(&self, place: &Place, limit: u64) -> Result<PageAnswer, Failure> {
        let offset = place.offset();
        self.calls.lock().unwrap().push((offset, limit));
        let is_by_offset = matches!(place, Place::Offset(_));
        let had_cursor = std::mem::replace(&mut *self.gave_cursor.lock().unwrap(), false);
        assert!(!(had_cursor && is_by_offset), "the cursor was not followed at {offset}");
        let mut length = limit.min(self.cap.unwrap_or(limit)).min(self.total - offset);
        if self.ignores_offset {
            length = limit.min(self.total);
        }
        let (mut total, mut first) = (self.total, if self.ignores_offset { 0 } else { offset });
        let mut hides_cursor = false;
        let mut faults = self.faults.lock().unwrap();
        if faults.front().is_some_and(|(at, _)| *at == offset) {
            match faults.pop_front().unwrap().1 {
                Fault::Short(records) => length = records,
                Fault::Total(moved) => total = moved,
                Fault::DataOf(other) => first = other,
                Fault::EmptyWithoutCursor => (length, hides_cursor) = (0, true),
            }
        }
        // A record went before the page, and another came behind: the total stays.
        first += u64::from(self.shifts_after.is_some_and(|after| offset >= after));
        let mut body = String::new();
        let mut records = Vec::new();
        for number in first..first + length {
            let start = body.len();
            body.push_str(&format!("{number:06}"));
            records.push(start..body.len());
            body.push(',');
        }
        let page = Page::new(offset, Bytes::from(body), records, 1);
        let more = self.by_cursor && !hides_cursor && offset + length < self.total;
        *self.gave_cursor.lock().unwrap() = more;
        Ok(PageAnswer { page, total, next_cursor: more.then(|| "more".to_owned()) })
    }
}

fn stopwatch() -> Stopwatch {
    Stopwatch::start(Arc::new(SystemClock))
}

/// Delivers a window of pages of 10. The numbers that came, and the calls.
async fn run(numbers: Numbers) -> (Result<u64, Interruption>, Vec<u64>, Vec<(u64, u64)>) {
    let (sender, mut receiver) = mpsc::channel(2);
    let check_overlap = numbers.check_overlap;
    let reader = Arc::new(numbers);
    let limits = PagingLimits {
        page_records: 10,
        pages_in_flight: 3,
        in_flight_bytes: 1 << 20,
        max_window_records: 1000,
        check_overlap,
    };
    let delivery = tokio::spawn(deliver(Arc::clone(&reader), limits, sender, stopwatch()));
    let mut records = Vec::new();
    while let Some(delivered) = receiver.recv().await {
        if let Delivery::Page(page) = delivered {
            records.extend(page.record_bytes().map(|text| std::str::from_utf8(text).unwrap().parse::<u64>().unwrap()));
        }
    }
    let outcome = delivery.await.unwrap().map(|delivered| delivered.total);
    let calls = reader.calls.lock().unwrap().clone();
    (outcome, records, calls)
}

fn with_faults(total: u64, faults: &[(u64, Fault)]) -> Numbers {
    Numbers { total, faults: Mutex::new(faults.iter().copied().collect()), ..Numbers::default() }
}

async fn all_come(numbers: Numbers) -> Vec<(u64, u64)> {
    let total = numbers.total;
    let (outcome, records, calls) = run(numbers).await;
    assert_eq!(outcome, Ok(total));
    assert_eq!(records, (0..total).collect::<Vec<_>>());
    calls
}

async fn unstable(numbers: Numbers, expected: &str) {
    match run(numbers).await.0 {
        Err(Interruption::Unstable(reason)) => assert_eq!(reason, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_total_is_delivered_whole_and_in_order() {
    for total in [0, 1, 9, 10, 11, 20, 21, 95, 100] {
        let calls = all_come(Numbers { total, ..Numbers::default() }).await;
        assert_eq!(calls.len() as u64, total.div_ceil(10).max(1), "{total}");
    }
}

#[tokio::test]
async fn a_cap_below_the_limit_is_kept_to() {
    for total in [3, 4, 5, 8, 50] {
        let calls = all_come(Numbers { total, cap: Some(4), ..Numbers::default() }).await;
        assert_eq!(calls.len() as u64, total.div_ceil(4).max(1), "{total}");
    }
}

#[tokio::test]
async fn a_cursor_is_followed_to_its_end() {
    for total in [0, 5, 10, 35] {
        all_come(Numbers { total, by_cursor: true, ..Numbers::default() }).await;
    }
}

#[tokio::test]
async fn a_cursor_of_an_empty_page_is_followed() {
    for faults in [
        &[(0, Fault::Short(0))][..],
        &[(0, Fault::Short(0)), (0, Fault::Short(0)), (0, Fault::Short(3))],
        &[(0, Fault::EmptyWithoutCursor)],
        &[(10, Fault::Short(0)), (10, Fault::Short(0)), (20, Fault::Short(0))],
    ] {
        all_come(Numbers { by_cursor: true, ..with_faults(35, faults) }).await;
    }
    let endless = [(10, Fault::Short(0)); 3];
    unstable(Numbers { by_cursor: true, ..with_faults(35, &endless) }, "an empty page at 10, before the end").await;
}

#[tokio::test]
async fn a_tenant_that_ignores_the_offset_is_found_out_whatever_its_total() {
    for total in [11, 15, 19, 25] {
        let numbers = Numbers { total, ignores_offset: true, ..Numbers::default() };
        let reason = match total {
            25 => "the page at 10 is equal to an earlier one".to_owned(),
            _ => format!("10 records at 10 where {} were expected", total - 10),
        };
        unstable(numbers, &reason).await;
    }
}

#[tokio::test]
async fn short_and_empty_pages_are_filled() {
    all_come(with_faults(50, &[(0, Fault::Short(3))])).await;
    all_come(with_faults(50, &[(20, Fault::Short(3)), (23, Fault::Short(1))])).await;
    all_come(with_faults(50, &[(30, Fault::Short(0)), (30, Fault::Short(0))])).await;
    all_come(with_faults(50, &[(0, Fault::Short(0))])).await;
}

#[tokio::test]
async fn data_that_moved_is_noticed() {
    let empty = [(30, Fault::Short(0)); 3];
    unstable(with_faults(50, &empty), "an empty page at 30, before the end").await;
    unstable(with_faults(50, &[(20, Fault::Total(51))]), "totalRecords was 50, is now 51").await;
    unstable(with_faults(50, &[(20, Fault::DataOf(10))]), "the page at 20 is equal to an earlier one").await;
}

#[tokio::test]
async fn a_shift_that_keeps_the_total_shows_where_pages_overlap() {
    for total in [1, 10, 11, 19, 20, 50, 95] {
        all_come(Numbers { total, check_overlap: true, ..Numbers::default() }).await;
        all_come(Numbers { total, check_overlap: true, cap: Some(4), ..Numbers::default() }).await;
    }
    let shifting = |check_overlap| Numbers { total: 50, shifts_after: Some(20), check_overlap, ..Numbers::default() };
    assert_eq!(run(shifting(false)).await.0, Ok(50), "what the check is for");
    unstable(shifting(true), "the record 27 is another when it is read again").await;
}

#[tokio::test]
async fn a_window_of_too_many_records_is_refused_with_a_hint() {
    match run(Numbers { total: 1001, ..Numbers::default() }).await.0 {
        Err(Interruption::Failed(failure)) => {
            assert_eq!(failure.kind.exit_code(), 2);
            assert_eq!(failure.message, "extract the window: it has 1001 records, more than 1000");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_page_is_asked_for_while_nobody_takes_them() {
    let reader = Arc::new(Numbers { total: 1000, ..Numbers::default() });
    let (sender, mut receiver) = mpsc::channel(1);
    let limits = PagingLimits {
        page_records: 10,
        pages_in_flight: 3,
        in_flight_bytes: 1 << 20,
        max_window_records: 1000,
        check_overlap: false,
    };
    let delivery = tokio::spawn(deliver(Arc::clone(&reader), limits, sender, stopwatch()));
    assert!(matches!(receiver.recv().await, Some(Delivery::Total(1000))));
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    // The first page, one that waits, and those in flight.
    assert!(reader.calls.lock().unwrap().len() <= 6, "{:?}", reader.calls);
    drop(receiver);
    assert_eq!(delivery.await.unwrap(), Err(Interruption::Closed));
}

#[tokio::test]
async fn fewer_large_pages_are_in_flight() {
    // A page of ten numbers is 70 bytes long.
    for (in_flight_bytes, most_calls) in [(1 << 20, 6), (150, 5), (1, 4)] {
        let reader = Arc::new(Numbers { total: 1000, ..Numbers::default() });
        let (sender, receiver) = mpsc::channel(1);
        let limits = PagingLimits {
            page_records: 10,
            pages_in_flight: 3,
            in_flight_bytes,
            max_window_records: 1000,
            check_overlap: false,
        };
        let delivery = tokio::spawn(deliver(Arc::clone(&reader), limits, sender, stopwatch()));
        let mut receiver = receiver;
        assert!(matches!(receiver.recv().await, Some(Delivery::Total(1000))));
        assert!(matches!(receiver.recv().await, Some(Delivery::Page(_))));
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let calls = reader.calls.lock().unwrap().len();
        assert!(calls <= most_calls, "{in_flight_bytes}: {calls}");
        delivery.abort();
    }
}
