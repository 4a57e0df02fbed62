//! The registry version's rules for a report, compiled once.

use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

use super::rules::{RULES_HINT, ValueRules};
use super::sent_key::SentKey;
use crate::registry::{Column, ColumnOrigin, ReportColumns, data_schema};
use crate::vocabulary::json::pointer_token;
use crate::vocabulary::{ColumnType, Constraints, Failure};

/// The key of the object that holds the custom metrics (guide, section 3).
pub(super) const CUSTOM_METRICS: &str = "customMetrics";

/// What a plan is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The report's columns.
    pub columns: &'a ReportColumns,
    /// The registry version that holds them.
    pub registry_version: u32,
    /// The source keys that name a record.
    pub key: &'a [String],
    /// The source key of the timestamp that must lie in the window.
    pub time_column: Option<&'a str>,
    /// What happens to keys that nobody asked for.
    pub unknown_keys: UnknownKeys,
    /// The longest record that is looked into.
    pub max_record_bytes: usize,
}

/// What happens to a key that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// Kept in `_unmapped`.
    Keep,
    /// The record is rejected.
    Quarantine,
}

/// How records of one report become rows under one registry version.
#[derive(Debug)]
pub struct DecodePlan {
    pub(super) schema: SchemaRef,
    pub(super) registry_version: u32,
    /// All columns of the files, in their order.
    pub(super) columns: Vec<PlannedColumn>,
    /// Columns of keys at the record's top.
    pub(super) top: KeyTable,
    /// Columns of keys under `customMetrics`.
    pub(super) custom: KeyTable,
    /// Columns that a record must have.
    pub(super) required: Vec<usize>,
    /// How many columns a record fills that lacks none; `None` where it may lack one that nobody asked for.
    pub(super) filled: Option<usize>,
    /// Columns that name a record.
    pub(super) key: Vec<usize>,
    pub(super) time_column: Option<usize>,
    pub(super) unknown_keys: UnknownKeys,
    pub(super) max_record_bytes: usize,
}

#[derive(Debug)]
pub(super) struct PlannedColumn {
    pub(super) name: String,
    pub(super) origin: ColumnOrigin,
    pub(super) column_type: ColumnType,
    pub(super) pointer: String,
    pub(super) required: bool,
    pub(super) requested: bool,
    pub(super) rules: ValueRules,
}

impl PlannedColumn {
    /// Whether keys of records fill it.
    pub(super) fn is_filled(&self) -> bool {
        let has_key = match self.origin {
            ColumnOrigin::GroupBy | ColumnOrigin::Metric | ColumnOrigin::CustomMetric => true,
            ColumnOrigin::ReportDate | ColumnOrigin::Unmapped | ColumnOrigin::SchemaVersion => false,
        };
        has_key && self.requested
    }
}

/// Which column a key fills.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    columns: HashMap<String, usize>,
    /// The same by column, for keys that can be sent as they are.
    sent: Vec<Option<SentKey>>,
}

impl KeyTable {
    fn insert(&mut self, key: &str, column: usize) {
        self.columns.insert(key.to_owned(), column);
        self.sent.resize(self.sent.len().max(column + 1), None);
        // A key with one of these is never sent as it is.
        self.sent[column] = (!key.contains(['\\', '"'])).then(|| SentKey::of(key));
    }

    /// Another spelling of a column's key, unless it is a key of its own.
    fn insert_earlier(&mut self, key: &str, column: usize) {
        self.columns.entry(key.to_owned()).or_insert(column);
    }

    /// A column's key as it is most often sent.
    #[inline]
    pub(super) fn sent(&self, column: usize) -> Option<&SentKey> {
        self.sent.get(column)?.as_ref()
    }

    pub(super) fn column(&self, key: &str) -> Option<usize> {
        self.columns.get(key).copied()
    }
}

impl DecodePlan {
    /// Compiles the plan.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Configuration`] where a pattern is no regular expression
    /// that runs in linear time.
    pub fn compile(request: PlanRequest<'_>) -> Result<Self, Failure> {
        let mut columns = Vec::new();
        let (mut top, mut custom) = (KeyTable::default(), KeyTable::default());
        for (index, column) in request.columns.columns.iter().enumerate() {
            let planned = planned(column)?;
            if planned.is_filled() {
                let table = if column.origin == ColumnOrigin::CustomMetric { &mut custom } else { &mut top };
                table.insert(&column.source, index);
            }
            columns.push(planned);
        }
        for (index, column) in
            request.columns.columns.iter().enumerate().filter(|(index, _)| columns[*index].is_filled())
        {
            column.earlier_sources.iter().for_each(|spelling| top.insert_earlier(spelling, index));
        }
        let key = request.key.iter().filter_map(|source| top.column(source)).collect();
        let time_column = request.time_column.and_then(|source| top.column(source));
        // The object of the custom metrics stands for a column of its own, behind all others.
        if top.column(CUSTOM_METRICS).is_none() {
            top.insert(CUSTOM_METRICS, columns.len());
        }
        Ok(Self {
            schema: data_schema(request.columns),
            registry_version: request.registry_version,
            key,
            time_column,
            unknown_keys: request.unknown_keys,
            max_record_bytes: request.max_record_bytes,
            required: (0..columns.len()).filter(|index| columns[*index].required).collect(),
            filled: filled_columns(&columns),
            columns,
            top,
            custom,
        })
    }

    /// The rules that the registry version does not hold, as part of what files are made from.
    pub(super) fn rules_text(&self) -> String {
        format!("{:?} {:?} {:?} {}", self.key, self.time_column, self.unknown_keys, self.max_record_bytes)
    }

    /// The schema of the rows.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

fn filled_columns(columns: &[PlannedColumn]) -> Option<usize> {
    let is_filled = |column: &&PlannedColumn| column.is_filled();
    let lacks_none = columns.iter().all(|column| column.is_filled() || !column.required);
    lacks_none.then(|| columns.iter().filter(is_filled).count())
}

fn planned(column: &Column) -> Result<PlannedColumn, Failure> {
    let token = pointer_token(&column.source);
    let pointer = match column.origin {
        ColumnOrigin::CustomMetric => format!("/customMetrics/{token}"),
        _ => format!("/{token}"),
    };
    // A column that is not asked for has no values: what its metric's rules became must not be in the way of others.
    let unruled = Constraints::default();
    let constraints = if column.requested { &column.constraints } else { &unruled };
    let rules = ValueRules::compile(column.column_type, constraints).map_err(|reason| {
        Failure::configuration(format!("compile the rules of {}: {reason}", column.source)).hint(RULES_HINT)
    })?;
    Ok(PlannedColumn {
        name: column.name.clone(),
        origin: column.origin,
        column_type: column.column_type,
        pointer,
        required: column.required,
        requested: column.requested,
        rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_would_be_escaped_is_never_expected_as_it_is() {
        let mut table = KeyTable::default();
        for (column, key) in ["plain", "a\":1,\"b", "c\\d"].into_iter().enumerate() {
            table.insert(key, column);
        }
        assert_eq!([0, 1, 2, 3].map(|column| table.sent(column).map(SentKey::key)), [Some("plain"), None, None, None]);
    }
}
