//! Floor 2: from the text of records to Arrow batches, strictly (`typing.md`). What was sent is
//! stored exactly, or set aside exactly: nothing is coerced, rounded, defaulted or dropped.
//!
//! Synchronous, with no network: a page's text comes in, record batches and a tally come out.

mod cells;
mod column_buffer;
mod data_batch;
mod direct_row;
mod extract_hash;
mod further_rules;
mod key_order;
mod key_rule;
mod key_text;
mod moment;
mod plan;
mod quarantine_batch;
mod record;
mod replay;
mod rules;
mod seen_columns;
mod sent_key;
mod sums;
mod typer;
mod unusual_streak;
mod violation;

pub use extract_hash::ExtractHash;
pub use plan::{DecodePlan, PlanRequest, UnknownKeys};
pub use quarantine_batch::quarantine_schema;
pub use replay::{RejectReplay, Replayed};
pub use rules::{RULES_HINT, check_rules};
pub use sums::ColumnSum;
pub use typer::{RecordTyper, RejectedSum, Typed, TypedBatch, TypedPage};
pub use violation::{Rule, Violation};

#[cfg(test)]
mod tests;
