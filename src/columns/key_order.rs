//! Which column comes next: tenants send the keys of all records in one order.

use std::ops::Range;

use super::plan::{DecodePlan, KeyTable};
use crate::vocabulary::json::{Walk, decode_string};

/// Columns that are tried for a key before it is looked up: the one that usually comes next, and those
/// behind it, for a record may lack a few.
const LIKELY_COLUMNS: usize = 4;

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Top,
    Custom,
}

impl Level {
    pub(super) const ALL: [Self; 2] = [Self::Top, Self::Custom];

    pub(super) fn keys(self, plan: &DecodePlan) -> &KeyTable {
        match self {
            Self::Top => &plan.top,
            Self::Custom => &plan.custom,
        }
    }

    /// What stands for the column before the level's first.
    pub(super) fn beginning(self, plan: &DecodePlan) -> usize {
        match self {
            Self::Top => plan.columns.len() + 1,
            Self::Custom => plan.columns.len() + 2,
        }
    }

    pub(super) fn pointer(self) -> &'static str {
        match self {
            Self::Top => "",
            Self::Custom => "/customMetrics",
        }
    }
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Member {
    /// It fills this column.
    Column(usize),
    /// The object of the custom metrics, or what is sent for it.
    CustomMetrics,
    /// Nobody asked for it: where it stands between its quotes.
    Unknown(Range<usize>),
}

/// For each column, and each level's beginning, the one whose key came next in an earlier record.
#[derive(Debug, Default)]
pub(super) struct KeyOrder {
    next: Vec<usize>,
}

impl KeyOrder {
    /// Makes room for a plan's columns.
    pub(super) fn begin(&mut self, plan: &DecodePlan) {
        self.next.resize(Level::Custom.beginning(plan) + 1, 0);
    }

    /// Where the next member's value may begin, and which column its key fills, where a text goes on as earlier records did:
    /// with a key that nothing separates from the byte before it, which stands at `at`.
    #[inline(always)]
    pub(super) fn usual_member(
        &self,
        text: &[u8],
        at: usize,
        previous: usize,
        keys: &KeyTable,
    ) -> Option<(usize, usize)> {
        // Keys that this record lacks are stepped over.
        let mut likely = *self.next.get(previous)?;
        for _ in 0..LIKELY_COLUMNS {
            if let Some(value) = keys.sent(likely).and_then(|sent| sent.value_behind(text, at)) {
                return Some((likely, value));
            }
            likely = *self.next.get(likely)?;
        }
        None
    }

    /// To the next member's value; what its key is. `previous` is the column of the key before it. `None` past
    /// the end of the object.
    pub(super) fn next_member(
        &mut self,
        record: &str,
        walk: &mut Walk<'_>,
        previous: &mut usize,
        level: Level,
        plan: &DecodePlan,
    ) -> Option<Member> {
        let keys = level.keys(plan);
        let usual = walk.separator().and_then(|at| self.usual_member(record.as_bytes(), at, *previous, keys));
        if let Some((column, value)) = usual {
            walk.go_on_to_value(value);
            *previous = column;
            return Some(member(column, plan));
        }
        self.any_member(record, walk, previous, level, plan)
    }

    /// As [`Self::next_member`], of any key, where the usual ones were tried.
    pub(super) fn any_member(
        &mut self,
        record: &str,
        walk: &mut Walk<'_>,
        previous: &mut usize,
        level: Level,
        plan: &DecodePlan,
    ) -> Option<Member> {
        let keys = level.keys(plan);
        let key = walk.next_key().ok()??;
        let Some(found) = self.column(&record[key.clone()], *previous, keys) else {
            return Some(Member::Unknown(key));
        };
        self.next[*previous] = found;
        *previous = found;
        Some(member(found, plan))
    }

    /// The column of a key, given what stands between its quotes.
    fn column(&self, raw: &str, previous: usize, keys: &KeyTable) -> Option<usize> {
        let mut likely = self.next[previous];
        for _ in 0..LIKELY_COLUMNS {
            if keys.sent(likely).is_some_and(|sent| sent.key() == raw) {
                return Some(likely);
            }
            likely = self.next[likely];
        }
        decode_string(raw).ok().and_then(|key| keys.column(&key))
    }
}

/// What a column's key is.
#[inline]
pub(super) fn member(column: usize, plan: &DecodePlan) -> Member {
    if column < plan.columns.len() { Member::Column(column) } else { Member::CustomMetrics }
}
