//! A window's records, page by page, into batches and a tally.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::cells::Cell;
use super::data_batch::DataBatch;
use super::direct_row::{DirectRow, read_last_key};
use super::extract_hash::{ExtractHash, sha256};
use super::key_rule::{KeyRule, KeyVerdict, RecordHash};
use super::plan::DecodePlan;
use super::quarantine_batch::{QuarantineBatch, epoch_days};
use super::record::{RecordJudge, RecordText};
use super::sums::{ColumnSum, Sum, add_to_sums, column_sums};
use super::unusual_streak::UnusualStreak;
use super::violation::{Rule, Violation, tally};
use crate::settings::limits::{
    BATCH_ROWS, COUNTED_UNKNOWN_KEYS, DATA_BATCH_BYTES, LONG_RECORD_KEPT_BYTES, QUARANTINE_BATCH_BYTES, RECORD_DEPTH,
};
use crate::vocabulary::{Page, RejectTally};
use crate::window::Window;

/// A finished batch.
#[derive(Debug)]
pub enum TypedBatch {
    /// Rows for `data/`.
    Accepted(RecordBatch),
    /// Rejects for `quarantine/`.
    Quarantined(RecordBatch),
}

/// What became of a window's records.
#[derive(Clone, Debug, PartialEq)]
pub struct Typed {
    /// All records.
    pub fetched: u64,
    /// Rows for `data/`.
    pub accepted: u64,
    /// Rejects.
    pub quarantined: u64,
    /// Records whose key and exact text were accepted before.
    pub duplicates: u64,
    /// Rejects by the rule and path of their first violation.
    pub rejects: RejectTally,
    /// Keys that nobody asked for: how often, and the first record's offset.
    pub unknown_keys: BTreeMap<String, (u64, u64)>,
    /// Sums of the accepted rows' numeric columns.
    pub sums: Vec<ColumnSum>,
    /// Sums of the same columns over the rejects, as far as a value can be read.
    pub rejected_sums: Vec<RejectedSum>,
    /// The pages, in order.
    pub pages: Vec<TypedPage>,
    /// What the files are made from.
    pub extract_sha256: String,
}

/// A page that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypedPage {
    /// The place of its first record in the extract.
    pub first_offset: u64,
    /// Its records.
    pub records: u64,
    /// XXH3 of its records and what is between them.
    pub xxh3: u128,
}

/// What the rejects have of a column.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedSum {
    /// Values that can be read, and their sum.
    pub sum: ColumnSum,
    /// Rejects whose value cannot be read.
    pub unreadable: u64,
}

/// Records whose keys are judged together. More would leave the cache before they are hashed.
const STRETCH_RECORDS: usize = 64;

/// What ended a stretch of records whose rows were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StretchEnd {
    /// The next record is for the judge.
    Unusual,
    /// The stretch or the batch has as many as it may.
    Full,
    /// The page has no more.
    Page,
}

/// Types the records of one window.
#[derive(Debug)]
pub struct RecordTyper {
    plan: Arc<DecodePlan>,
    window: Window,
    /// Those of the window, in UTC microseconds.
    instants: Range<i64>,
    direct: DirectRow,
    unusual: UnusualStreak,
    judge: RecordJudge,
    keys: KeyRule,
    key_text: String,
    /// Of the records of a stretch.
    hashes: Vec<RecordHash>,
    data: DataBatch,
    quarantine: QuarantineBatch,
    sums: Vec<(u64, Sum)>,
    rejected_sums: Vec<(u64, Sum)>,
    unreadable: Vec<u64>,
    hash: ExtractHash,
    typed: Typed,
}

impl RecordTyper {
    /// Begins a window of about `expected` records.
    pub fn new(plan: Arc<DecodePlan>, window: Window, time_zone: &str, expected: u64) -> Self {
        let sums: Vec<(u64, Sum)> = plan
            .columns
            .iter()
            .map(|column| (0, if column.requested { Sum::of(column.column_type) } else { Sum::None }))
            .collect();
        Self {
            direct: DirectRow::default(),
            unusual: UnusualStreak::default(),
            judge: RecordJudge::default(),
            keys: KeyRule::with_capacity(usize::try_from(expected).unwrap_or_default()),
            key_text: String::new(),
            hashes: Vec::with_capacity(STRETCH_RECORDS),
            data: DataBatch::new(&plan, epoch_days(&window)),
            quarantine: QuarantineBatch::new(window, plan.registry_version),
            rejected_sums: sums.clone(),
            unreadable: vec![0; sums.len()],
            sums,
            hash: ExtractHash::new(&window.name(), time_zone, plan.registry_version, &plan.rules_text()),
            typed: Typed {
                fetched: 0,
                accepted: 0,
                quarantined: 0,
                duplicates: 0,
                rejects: RejectTally::new(),
                unknown_keys: BTreeMap::new(),
                sums: Vec::new(),
                rejected_sums: Vec::new(),
                pages: Vec::new(),
                extract_sha256: String::new(),
            },
            plan,
            instants: window.timestamp_micros(),
            window,
        }
    }

    /// Types a page; full batches are added to `batches`.
    ///
    /// # Errors
    /// Only where Arrow refuses what the plan made, which is a defect.
    pub fn page(&mut self, page: &Page, batches: &mut Vec<TypedBatch>) -> Result<(), ArrowError> {
        self.typed.pages.push(TypedPage {
            first_offset: page.first_offset,
            records: page.record_count(),
            xxh3: page.xxh3(),
        });
        let is_shallow = page.deepest_record <= RECORD_DEPTH;
        let texts = page.record_texts().map(|(bytes, onwards)| RecordText { bytes, onwards, is_shallow });
        let mut records = (page.first_offset..).zip(texts);
        loop {
            let end = self.append_stretch(records.clone().map(|(_, text)| text));
            self.settle_stretch(&mut records, batches)?;
            if end == StretchEnd::Unusual
                && let Some((offset, text)) = records.next()
            {
                self.record(offset, text);
            }
            if self.data_is_full() {
                batches.push(TypedBatch::Accepted(self.data.finish(&self.plan, &mut self.sums)?));
            }
            self.pass_on_rejects(batches)?;
            if end == StretchEnd::Page {
                return Ok(());
            }
        }
    }

    /// The last batches, and what became of all records.
    ///
    /// # Errors
    /// As [`RecordTyper::page`].
    pub fn finish(mut self, batches: &mut Vec<TypedBatch>) -> Result<Typed, ArrowError> {
        if self.data.rows() > 0 {
            batches.push(TypedBatch::Accepted(self.data.finish(&self.plan, &mut self.sums)?));
        }
        if self.quarantine.rows() > 0 {
            batches.push(TypedBatch::Quarantined(self.quarantine.finish()?));
        }
        self.typed.extract_sha256 = self.hash.finish();
        self.typed.sums = column_sums(&self.plan, &self.sums);
        let unreadable = self.plan.columns.iter().zip(&self.unreadable);
        let unreadable: BTreeMap<&str, u64> =
            unreadable.map(|(column, count)| (column.name.as_str(), *count)).collect();
        let rejected = column_sums(&self.plan, &self.rejected_sums).into_iter();
        self.typed.rejected_sums = rejected
            .map(|sum| RejectedSum {
                unreadable: unreadable.get(sum.column.as_str()).copied().unwrap_or_default(),
                sum,
            })
            .collect();
        Ok(self.typed)
    }

    fn data_is_full(&self) -> bool {
        self.data.rows() >= BATCH_ROWS || self.data.bytes() >= DATA_BATCH_BYTES
    }

    /// After each reject, for the borders of batches must not depend on the tenant's pages.
    fn pass_on_rejects(&mut self, batches: &mut Vec<TypedBatch>) -> Result<(), ArrowError> {
        if self.quarantine.rows() >= BATCH_ROWS || self.quarantine.bytes() >= QUARANTINE_BATCH_BYTES {
            batches.push(TypedBatch::Quarantined(self.quarantine.finish()?));
        }
        Ok(())
    }

    /// Adds the rows of the next records as far as they are beyond doubt but for their keys.
    fn append_stretch<'a>(&mut self, texts: impl Iterator<Item = RecordText<'a>>) -> StretchEnd {
        self.hashes.clear();
        for text in texts {
            if !self.append_directly(text) {
                return StretchEnd::Unusual;
            }
            if self.hashes.len() == STRETCH_RECORDS || self.data_is_full() {
                return StretchEnd::Full;
            }
        }
        StretchEnd::Page
    }

    fn append_directly(&mut self, text: RecordText<'_>) -> bool {
        let bytes = text.bytes;
        let is_readable = text.is_shallow && bytes.len() <= self.plan.max_record_bytes;
        if !is_readable {
            return false;
        }
        let is_usual =
            self.unusual.is_worth_a_try() && self.direct.append(text, &self.plan, &self.instants, &mut self.data);
        self.unusual.note(is_usual);
        if !is_usual {
            return false;
        }
        let key = read_last_key(&self.plan, &self.data, &mut self.key_text);
        self.hashes.push(RecordHash::of(key, bytes));
        self.data.keep_row(bytes.len());
        true
    }

    /// Judges the keys of the rows of a stretch, the next of `records`.
    fn settle_stretch<'a>(
        &mut self,
        records: impl Iterator<Item = (u64, RecordText<'a>)>,
        batches: &mut Vec<TypedBatch>,
    ) -> Result<(), ArrowError> {
        let hashes = std::mem::take(&mut self.hashes);
        self.keys.fetch(&hashes);
        let mut row = self.data.rows() - hashes.len();
        for (hash, (offset, text)) in hashes.iter().zip(records) {
            self.take_in(text.bytes);
            let verdict = self.keys.judge(*hash);
            if verdict == KeyVerdict::First {
                self.typed.accepted += 1;
                row += 1;
                continue;
            }
            self.data.remove_row(row, text.bytes.len());
            if verdict == KeyVerdict::Duplicate {
                self.typed.duplicates += 1;
            } else {
                // What the row was made of, which is beyond doubt, once more as cells.
                let violations = self.judge.judge(text, &self.plan, &self.window);
                debug_assert!(violations.is_empty());
                self.judge.read_key(&self.plan, text.text().unwrap_or_default(), &mut self.key_text);
                self.reject_conflict(offset, text.bytes);
                self.pass_on_rejects(batches)?;
            }
        }
        self.hashes = hashes;
        Ok(())
    }

    fn take_in(&mut self, record: &[u8]) {
        self.typed.fetched += 1;
        self.hash.record(record);
    }

    /// Any record, rule by rule.
    fn record(&mut self, offset: u64, text: RecordText<'_>) {
        let record = text.bytes;
        self.take_in(record);
        if record.len() > self.plan.max_record_bytes {
            return self.reject_long(offset, record);
        }
        let violations = self.judge.judge(text, &self.plan, &self.window);
        let text = text.text().unwrap_or_default();
        if self.judge.has_unknown() {
            self.count_unknown(offset, text);
        }
        self.judge.read_key(&self.plan, text, &mut self.key_text);
        if !violations.is_empty() {
            self.add_rejected(&violations);
            return self.reject(offset, record, &violations);
        }
        match self.keys.judge(RecordHash::of(self.key_text.as_bytes(), record)) {
            KeyVerdict::First => self.accept(text),
            KeyVerdict::Duplicate => self.typed.duplicates += 1,
            KeyVerdict::Conflict => self.reject_conflict(offset, record),
        }
    }

    /// A record that the judge has just found to break nothing, whose key an accepted one has.
    fn reject_conflict(&mut self, offset: u64, record: &[u8]) {
        let path = self.plan.key.first().map(|column| self.plan.columns[*column].pointer.as_str());
        let found = serde_json::to_string(&self.key_text).unwrap_or_default();
        let expected = "one record a key";
        let violation = Violation::new(path.unwrap_or_default(), Rule::DuplicateKey, expected, Some(found.as_bytes()));
        add_to_sums(&mut self.rejected_sums, &self.judge.cells);
        self.reject(offset, record, &[violation]);
    }

    /// A value outside its rules is a value; one of another type, or in a record that cannot be taken
    /// apart, cannot be read.
    fn add_rejected(&mut self, violations: &[Violation]) {
        add_to_sums(&mut self.rejected_sums, &self.judge.cells);
        for (index, column) in self.plan.columns.iter().enumerate() {
            let is_broken = |violation: &Violation| {
                let has_no_value = matches!(violation.rule, Rule::Missing | Rule::Null);
                !has_no_value && column.pointer.starts_with(violation.path.as_str())
            };
            let is_empty = *self.judge.cells.get(index) == Cell::Empty;
            self.unreadable[index] += u64::from(is_empty && violations.iter().any(is_broken));
        }
    }

    fn accept(&mut self, record: &str) {
        self.typed.accepted += 1;
        self.data.append(&self.judge.cells, record, self.judge.unmapped(record));
    }

    /// A record that is too long to look into: its beginning is kept, and the hash of all of it.
    fn reject_long(&mut self, offset: u64, record: &[u8]) {
        self.key_text.clear();
        let expected = format!("at most {} bytes", self.plan.max_record_bytes);
        let found = format!("{} bytes, sha256 {}", record.len(), sha256(record));
        let violation = Violation::new("", Rule::Length, expected, Some(found.as_bytes()));
        let mut end = LONG_RECORD_KEPT_BYTES.min(record.len());
        while end > 0 && (record[end] & 0xc0) == 0x80 {
            end -= 1;
        }
        self.unreadable.iter_mut().for_each(|count| *count += 1);
        self.reject(offset, &record[..end], &[violation]);
    }

    fn reject(&mut self, offset: u64, record: &[u8], violations: &[Violation]) {
        self.typed.quarantined += 1;
        if let Some(first) = violations.first() {
            tally(&mut self.typed.rejects, first.rule, &first.path);
        }
        let key = (!self.key_text.is_empty()).then_some(self.key_text.as_str());
        self.quarantine.append(offset, key, record, violations);
    }

    fn count_unknown(&mut self, offset: u64, record: &str) {
        for pointer in self.judge.unknown_pointers(record) {
            let counted = &mut self.typed.unknown_keys;
            if counted.len() < COUNTED_UNKNOWN_KEYS || counted.contains_key(&pointer) {
                counted.entry(pointer).or_insert((0, offset)).0 += 1;
            }
        }
    }
}
