//! What a window's files are made from, in one hash.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Changes whenever what is written from the same records changes.
const FORMAT_VERSION: u32 = 5;

/// The same for what a replay writes from the same window and rules.
const REPLAY_VERSION: u32 = 3;

/// Bytes that are hashed at once: whole subtrees of BLAKE3, several of its 1 KiB chunks side by side, and still in
/// the cache.
const HASHED_AT_ONCE: usize = 64 << 10;

/// `extract_sha256`: over format version, window, zone, registry version, rules and every record's exact
/// bytes in order (commit protocol, step 2). Two extracts with one hash make the same files.
///
/// The records, each after its length in eight bytes, are in it by their BLAKE3, which is as hard to forge and takes
/// a fraction of the time.
#[derive(Clone, Debug)]
pub struct ExtractHash {
    head: String,
    records: blake3::Hasher,
    /// What is not hashed yet: always less than [`HASHED_AT_ONCE`].
    waiting: Vec<u8>,
}

impl ExtractHash {
    /// The hash of no records yet. `rules` are those that the registry version does not hold.
    pub fn new(window_name: &str, time_zone: &str, registry_version: u32, rules: &str) -> Self {
        let head =
            format!("cxlake extract {FORMAT_VERSION}\n{window_name}\n{time_zone}\n{registry_version}\n{rules}\n");
        Self { head, records: blake3::Hasher::new(), waiting: Vec::with_capacity(HASHED_AT_ONCE) }
    }

    /// Takes in the next record.
    pub fn record(&mut self, text: &[u8]) {
        self.take_in(&(text.len() as u64).to_le_bytes());
        self.take_in(text);
    }

    fn take_in(&mut self, mut bytes: &[u8]) {
        while let Some((fitting, rest)) = bytes.split_at_checked(HASHED_AT_ONCE - self.waiting.len()) {
            self.waiting.extend_from_slice(fitting);
            self.records.update(&self.waiting);
            self.waiting.clear();
            bytes = rest;
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// The hash in lower-case hex.
    pub fn finish(mut self) -> String {
        self.records.update(&self.waiting);
        let Self { head, records, .. } = self;
        hex(&Sha256::new_with_prefix(head).chain_update(records.finalize().as_bytes()).finalize())
    }
}

/// The `extract_sha256` of a window whose rejects were tried again: over that of the window (and so
/// over every record) and the rules that they were tried under. It is never that of an extract, so
/// a later run of the window replaces it.
pub(super) fn replay_sha256(extract_sha256: &str, registry_version: u32, rules: &str) -> String {
    sha256(format!("cxlake replay {REPLAY_VERSION}\n{extract_sha256}\n{registry_version}\n{rules}\n").as_bytes())
}

/// The hash of a text, in lower-case hex.
pub(super) fn sha256(text: &[u8]) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_records(records: &[&[u8]]) -> String {
        let mut hash = ExtractHash::new("w", "UTC", 1, "");
        records.iter().for_each(|record| hash.record(record));
        hash.finish()
    }

    #[test]
    fn whatever_makes_other_files_makes_another_hash() {
        let heads =
            [("w", "UTC", 1, ""), ("v", "UTC", 1, ""), ("w", "CET", 1, ""), ("w", "UTC", 2, ""), ("w", "UTC", 1, "r")];
        let of_head = |(window, zone, version, rules)| ExtractHash::new(window, zone, version, rules).finish();
        let records: [&[&[u8]]; 5] = [&[b"ab"], &[b"a", b"b"], &[b"b", b"a"], &[b"", b"ab"], &[b"ab", b""]];
        let mut hashes: Vec<String> = heads.map(of_head).into_iter().chain(records.map(of_records)).collect();
        assert!(hashes.iter().all(|hash| hash.len() == 64));
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), 10);
    }

    proptest! {
        #[test]
        fn records_are_hashed_in_order_whatever_their_lengths(lengths in proptest::collection::vec(prop_oneof![0..700_usize, 60_000..200_000_usize], 0..40)) {
            let records: Vec<Vec<u8>> = lengths.iter().zip(0_u8..).map(|(length, byte)| vec![byte; *length]).collect();
            let all: Vec<u8> = records.iter().flat_map(|record| [&(record.len() as u64).to_le_bytes()[..], record].concat()).collect();
            let head = format!("cxlake extract {FORMAT_VERSION}\nw\nUTC\n1\n\n");
            let expected = sha256(&[head.as_bytes(), blake3::hash(&all).as_bytes()].concat());
            prop_assert_eq!(of_records(&records.iter().map(Vec::as_slice).collect::<Vec<_>>()), expected);
        }
    }
}
