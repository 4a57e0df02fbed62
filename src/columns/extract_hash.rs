//! What a window's files are made from, in one hash.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Changes whenever what is written from the same records changes.
const FORMAT_VERSION: u32 = 2;

/// `extract_sha256`: over format version, window, zone, registry version, rules and every record's exact
/// bytes in order (commit protocol, step 2). Two extracts with one hash make the same files.
#[derive(Clone, Debug)]
pub struct ExtractHash(Sha256);

impl ExtractHash {
    /// The hash of no records yet. `rules` are those that the registry version does not hold.
    pub fn new(window_name: &str, time_zone: &str, registry_version: u32, rules: &str) -> Self {
        let head =
            format!("cxlake extract {FORMAT_VERSION}\n{window_name}\n{time_zone}\n{registry_version}\n{rules}\n");
        Self(Sha256::new_with_prefix(head.as_bytes()))
    }

    /// Takes in the next record.
    pub fn record(&mut self, text: &[u8]) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    /// The hash in lower-case hex.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// The `extract_sha256` of a window whose rejects were tried again: over that of the window (and so
/// over every record) and the rules that they were tried under. It is never that of an extract, so
/// a later run of the window replaces it.
pub(super) fn replay_sha256(extract_sha256: &str, registry_version: u32, rules: &str) -> String {
    sha256(format!("cxlake replay {FORMAT_VERSION}\n{extract_sha256}\n{registry_version}\n{rules}\n").as_bytes())
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
