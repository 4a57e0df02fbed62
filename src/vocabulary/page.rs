//! What travels from the source to the typed columns.

use std::ops::Range;

use bytes::Bytes;
use simdutf8::basic::from_utf8;

/// One page of records, as text. The answer that it came in is one JSON text, and so is every
/// record whose bytes are UTF-8.
#[derive(Clone, Debug)]
pub struct Page {
    /// The place of the first record in the extract, from 0.
    pub first_offset: u64,
    /// The answer's body.
    pub body: Bytes,
    /// Where the records are in the body, in their order.
    pub records: Vec<Range<usize>>,
    /// How deep containers nest in the deepest of them, at most.
    pub deepest_record: usize,
    is_utf8: bool,
}

impl Page {
    /// A page whose records are where they are said to be.
    pub fn new(first_offset: u64, body: Bytes, records: Vec<Range<usize>>, deepest_record: usize) -> Self {
        let is_utf8 = from_utf8(&body).is_ok();
        Self { first_offset, body, records, deepest_record, is_utf8 }
    }

    /// Whether all of it is UTF-8.
    pub fn is_utf8(&self) -> bool {
        self.is_utf8
    }

    /// The exact bytes of each record, in order.
    pub fn record_bytes(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.records.iter().map(|range| &self.body[range.clone()])
    }

    /// The exact bytes of each record, in order, and the same as text where they are UTF-8.
    pub fn record_texts(&self) -> impl Iterator<Item = (&[u8], Option<&str>)> + Clone {
        // Looked at again, for a page cannot keep a text that borrows from itself.
        let whole = from_utf8(&self.body).ok();
        self.records.iter().map(move |range| {
            let bytes = &self.body[range.clone()];
            let text = match whole {
                Some(whole) => whole.get(range.clone()),
                None => from_utf8(bytes).ok(),
            };
            (bytes, text)
        })
    }

    /// From the first record's first byte to the last record's last.
    pub fn data(&self) -> &[u8] {
        match (self.records.first(), self.records.last()) {
            (Some(first), Some(last)) => &self.body[first.start..last.end],
            _ => &[],
        }
    }

    /// How many records the page has.
    pub fn record_count(&self) -> u64 {
        self.records.len() as u64
    }
}
