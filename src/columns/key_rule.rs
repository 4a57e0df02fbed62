//! No two rows of a window with one key (`typing.md`, "Duplicates").

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use twox_hash::{XxHash3_64, XxHash3_128};

/// What an accepted record is beside those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyVerdict {
    /// The first with its key.
    First,
    /// Its key and its exact text were there before.
    Duplicate,
    /// Its key was there before with another text.
    Conflict,
}

/// The hashes of keys and texts of a window's accepted records: 24 bytes a record, and 4 to 10 for
/// the table that finds them.
#[derive(Debug, Default)]
pub(super) struct KeyRule {
    seen: Vec<RecordHash>,
    table: HashTable<u32>,
}

/// What is kept of a record: the hashes of its key and of its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordHash {
    key: [u64; 2],
    text: u64,
}

impl RecordHash {
    pub(super) fn of(key: &[u8], text: &[u8]) -> Self {
        let wide = XxHash3_128::oneshot(key);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a 128-bit hash")]
        let key = [wide as u64, (wide >> 64) as u64];
        Self { key, text: XxHash3_64::oneshot(text) }
    }
}

impl KeyRule {
    /// Makes room for a number of records, so that the table does not grow by doubling.
    pub(super) fn with_capacity(records: usize) -> Self {
        Self { seen: Vec::with_capacity(records), table: HashTable::with_capacity(records) }
    }

    /// Brings what [`KeyRule::judge`] will look at into the cache, for all of the records at once: the table of a million
    /// keys is memory that no cache holds, and to wait for each part of it in turn takes longer than all else here.
    pub(super) fn fetch(&self, records: &[RecordHash]) {
        let is_known = |record: &&RecordHash| {
            self.table.find(record.key[0], |index| self.seen[*index as usize].key == record.key).is_some()
        };
        let _known = std::hint::black_box(records.iter().filter(is_known).count());
    }

    pub(super) fn judge(&mut self, record: RecordHash) -> KeyVerdict {
        let seen = &mut self.seen;
        let same_key = |index: &u32| seen[*index as usize].key == record.key;
        match self.table.entry(record.key[0], same_key, |index| seen[*index as usize].key[0]) {
            Entry::Occupied(entry) if seen[*entry.get() as usize].text == record.text => KeyVerdict::Duplicate,
            Entry::Occupied(_) => KeyVerdict::Conflict,
            Entry::Vacant(entry) => {
                // Windows are bounded far below u32::MAX records by `max_window_records`.
                entry.insert(u32::try_from(seen.len()).unwrap_or(u32::MAX));
                seen.push(record);
                KeyVerdict::First
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_key_wins_and_the_same_text_is_a_duplicate() {
        let mut rule = KeyRule::with_capacity(2);
        let verdicts: Vec<KeyVerdict> = [("a", "1"), ("b", "1"), ("a", "1"), ("a", "2"), ("a", "1")]
            .map(|(key, text)| rule.judge(RecordHash::of(key.as_bytes(), text.as_bytes())))
            .to_vec();
        use KeyVerdict::{Conflict, Duplicate, First};
        assert_eq!(verdicts, [First, First, Duplicate, Conflict, Duplicate]);
    }
}
