//! What travels from the source to the typed columns.

use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use simdutf8::basic::from_utf8;
use twox_hash::XxHash3_128;

/// One page of records, as text. The answer that it came in is one JSON text, and so is every
/// record whose bytes are UTF-8.
#[derive(Clone, Debug)]
pub struct Page {
    /// The place of the first record in the extract, from 0.
    pub first_offset: u64,
    /// The answer's body.
    pub body: Bytes,
    /// Where the records are in the body, in their order.
    records: Vec<Range<usize>>,
    /// How deep containers nest in the deepest of them, at most.
    pub deepest_record: usize,
    is_utf8: bool,
    xxh3: OnceLock<u128>,
}

impl Page {
    /// A page whose records are where they are said to be.
    pub fn new(first_offset: u64, body: Bytes, records: Vec<Range<usize>>, deepest_record: usize) -> Self {
        let is_utf8 = from_utf8(&body).is_ok();
        Self { first_offset, body, records, deepest_record, is_utf8, xxh3: OnceLock::new() }
    }

    /// Whether all of it is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    /// Whether all around the records is UTF-8.
    pub fn is_utf8_around_records(&self) -> bool {
        let mut start = 0;
        let mut parts = self.records.iter().map(|record| {
            let part = start..record.start;
            start = record.end;
            part
        });
        parts.all(|part| from_utf8(&self.body[part]).is_ok()) && from_utf8(&self.body[start..]).is_ok()
    }

    /// The exact bytes of each record, in order.
    pub fn record_bytes(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.records.iter().map(|range| &self.body[range.clone()])
    }

    /// The exact bytes of each record, in order, and where they are UTF-8 a text that begins with them: it goes on to the
    /// page's end, so that many bytes can be looked at together wherever a record ends.
    pub fn record_texts(&self) -> impl Iterator<Item = (&[u8], Option<&str>)> + Clone {
        // Looked at again, for a page cannot keep a text that borrows from itself.
        let whole = from_utf8(&self.body).ok();
        self.records.iter().map(move |range| {
            let bytes = &self.body[range.clone()];
            let text = match whole {
                Some(whole) => whole.get(range.start..),
                None => from_utf8(bytes).ok(),
            };
            (bytes, text)
        })
    }

    /// XXH3 from the first record's first byte to the last record's last.
    pub fn xxh3(&self) -> u128 {
        let data = match (self.records.first(), self.records.last()) {
            (Some(first), Some(last)) => &self.body[first.start..last.end],
            _ => &[],
        };
        *self.xxh3.get_or_init(|| XxHash3_128::oneshot(data))
    }

    /// Takes off the first record, of those that it has.
    pub fn take_off_first(&mut self) {
        self.records.remove(0);
        self.first_offset += 1;
        self.xxh3 = OnceLock::new();
    }

    /// How many records the page has.
    pub fn record_count(&self) -> u64 {
        self.records.len() as u64
    }
}
