//! Rejects of a committed window tried again under other rules, beside the rows that it has.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::data_batch::DataBatch;
use super::extract_hash::replay_sha256;
use super::key_rule::{KeyRule, KeyVerdict, RecordHash};
use super::key_text::key_text;
use super::plan::DecodePlan;
use super::quarantine_batch::epoch_days;
use super::record::{RecordJudge, RecordText};
use super::sums::{ColumnSum, Sum, column_sums};
use super::violation::{Rule, tally};
use crate::settings::limits::{BATCH_ROWS, DATA_BATCH_BYTES};
use crate::vocabulary::{Failure, RejectTally};
use crate::window::Window;

/// What became of a window's rejects.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Rejects that are rows now.
    pub accepted: u64,
    /// Rejects whose key and exact text were accepted with them.
    pub duplicates: u64,
    /// Rejects that stay, by the rule and path of what they break now.
    pub remaining: RejectTally,
    /// Sums of the accepted rows' numeric columns, old and new.
    pub sums: Vec<ColumnSum>,
    /// What the new files are made from.
    pub extract_sha256: String,
}

impl Replayed {
    /// Rejects that leave the quarantine.
    pub fn moved(&self) -> u64 {
        self.accepted + self.duplicates
    }
}

/// Tries the rejects of one window again. The accepted rows come first, all of them: a reject must
/// not take the key of one.
#[derive(Debug)]
pub struct RejectReplay {
    plan: Arc<DecodePlan>,
    window: Window,
    judge: RecordJudge,
    keys: KeyRule,
    key: String,
    data: DataBatch,
    sums: Vec<(u64, Sum)>,
    replayed: Replayed,
}

impl RejectReplay {
    /// Begins with a window of `rows` accepted rows, their sums, and the hash of its extract.
    pub fn new(plan: Arc<DecodePlan>, window: Window, rows: u64, sums: &[ColumnSum], extract_sha256: &str) -> Self {
        let known = |name: &str| sums.iter().find(|sum| sum.column == name);
        let resumed = plan.columns.iter().map(|column| match known(&column.name) {
            Some(sum) => (sum.values, Sum::from_text(column.column_type, &sum.sum)),
            None if column.requested => (0, Sum::of(column.column_type)),
            None => (0, Sum::None),
        });
        let replayed = Replayed {
            accepted: 0,
            duplicates: 0,
            remaining: RejectTally::new(),
            sums: Vec::new(),
            extract_sha256: replay_sha256(extract_sha256, plan.registry_version, &plan.rules_text()),
        };
        Self {
            window,
            judge: RecordJudge::default(),
            keys: KeyRule::with_capacity(usize::try_from(rows).unwrap_or_default()),
            key: String::new(),
            data: DataBatch::new(&plan, epoch_days(&window)),
            sums: resumed.collect(),
            replayed,
            plan,
        }
    }

    /// Rows that the window has, in the columns that its file will have: the same values, and null
    /// in columns that came since.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Configuration`] where the registry does not hold a column of
    /// theirs as it is, or a row has no value in a column of the key: nothing may be dropped, and no
    /// key be overlooked.
    pub fn accepted(&mut self, rows: &RecordBatch) -> Result<RecordBatch, Failure> {
        let schema = self.plan.schema();
        let is_known = |field: &&arrow::datatypes::FieldRef| {
            schema.field_with_name(field.name()).is_ok_and(|known| known.data_type() == field.data_type())
        };
        if let Some(lost) = rows.schema().fields().iter().find(|field| !is_known(field)) {
            return Err(Failure::configuration(format!(
                "replay a window: the registry does not hold its column {} as it is",
                lost.name()
            ))
            .hint("the registry is not the one that the window was written under: check registry_url"));
        }
        let columns = schema.fields().iter().map(|field| -> ArrayRef {
            rows.column_by_name(field.name())
                .map_or_else(|| new_null_array(field.data_type(), rows.num_rows()), Arc::clone)
        });
        let kept = RecordBatch::try_new(Arc::clone(schema), columns.collect())
            .map_err(|error| Failure::defect(format!("keep the rows of a window: {error}")))?;
        for row in 0..kept.num_rows() {
            let parts: Option<Vec<String>> =
                self.plan.key.iter().map(|column| key_part(kept.column(*column), row)).collect();
            let Some(parts) = parts else {
                return Err(Failure::configuration("replay a window: its rows have no value in a column of the key")
                    .hint("the key or its type has changed since: run the window again"));
            };
            self.key.clear();
            key_text(&parts, &mut self.key);
            // The exact text of a row is not known any more; it is that of no reject.
            self.keys.judge(RecordHash::of(self.key.as_bytes(), b""));
        }
        Ok(kept)
    }

    /// Tries rejects. Those that pass are rows of `batches` once there are enough of them; what is
    /// returned are those that stay, as they were.
    ///
    /// # Errors
    /// Where the batch is none of the quarantine's.
    pub fn rejected(
        &mut self,
        rejects: &RecordBatch,
        batches: &mut Vec<RecordBatch>,
    ) -> Result<RecordBatch, ArrowError> {
        let column = rejects.column_by_name("raw_record");
        let column = column.ok_or_else(|| ArrowError::SchemaError("there is no raw_record".to_owned()))?;
        let texts = column.as_string::<i32>();
        let mut stays = Vec::with_capacity(rejects.num_rows());
        for row in 0..rejects.num_rows() {
            let moved = texts.is_valid(row) && self.passes(texts.value(row));
            if !texts.is_valid(row) {
                self.stay(Rule::Encoding, "");
            }
            stays.push(!moved);
            if self.data.rows() >= BATCH_ROWS || self.data.bytes() >= DATA_BATCH_BYTES {
                batches.push(self.data.finish(&self.plan, &mut self.sums)?);
            }
        }
        filter_record_batch(rejects, &BooleanArray::from(stays))
    }

    /// The last rows, and what became of all rejects.
    ///
    /// # Errors
    /// Only where Arrow refuses what the plan made, which is a defect.
    pub fn finish(mut self, batches: &mut Vec<RecordBatch>) -> Result<Replayed, ArrowError> {
        if self.data.rows() > 0 {
            batches.push(self.data.finish(&self.plan, &mut self.sums)?);
        }
        self.replayed.sums = column_sums(&self.plan, &self.sums);
        Ok(self.replayed)
    }

    /// Whether a reject leaves the quarantine.
    fn passes(&mut self, record: &str) -> bool {
        let text = RecordText { bytes: record.as_bytes(), onwards: Some(record), is_shallow: false };
        let violations = self.judge.judge(text, &self.plan, &self.window);
        if let Some(first) = violations.first() {
            self.stay(first.rule, &first.path);
            return false;
        }
        self.judge.read_key(&self.plan, record, &mut self.key);
        match self.keys.judge(RecordHash::of(self.key.as_bytes(), record.as_bytes())) {
            KeyVerdict::First => {
                self.replayed.accepted += 1;
                self.data.append(&self.judge.cells, record, self.judge.unmapped(record));
                true
            }
            KeyVerdict::Duplicate => {
                self.replayed.duplicates += 1;
                true
            }
            KeyVerdict::Conflict => {
                let path = self.plan.key.first().map(|column| self.plan.columns[*column].pointer.clone());
                self.stay(Rule::DuplicateKey, &path.unwrap_or_default());
                false
            }
        }
    }

    fn stay(&mut self, rule: Rule, path: &str) {
        tally(&mut self.replayed.remaining, rule, path);
    }
}

/// A part of a row's key, in the words of a record's.
fn key_part(column: &ArrayRef, row: usize) -> Option<String> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row).to_owned()),
        DataType::Boolean => Some(column.as_boolean().value(row).to_string()),
        DataType::Int64 => Some(column.as_primitive::<Int64Type>().value(row).to_string()),
        DataType::Float64 => Some((column.as_primitive::<Float64Type>().value(row) + 0.0).to_string()),
        DataType::Decimal128(..) => Some(column.as_primitive::<Decimal128Type>().value(row).to_string()),
        DataType::Timestamp(..) => Some(column.as_primitive::<TimestampMicrosecondType>().value(row).to_string()),
        DataType::Date32 => Some(column.as_primitive::<Date32Type>().value(row).to_string()),
        _ => None,
    }
}
