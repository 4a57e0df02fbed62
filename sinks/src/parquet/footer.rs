//! What a Parquet file's footer says of itself.

use std::collections::BTreeMap;

use parquet::file::metadata::ParquetMetaDataReader;

/// The rows and the key-values of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FooterSummary {
    /// Rows of the file.
    pub rows: u64,
    /// Key-values of the footer.
    pub key_values: BTreeMap<String, String>,
}

/// The length of the footer's metadata, given the file's last bytes (at least 8); `None` where it
/// is no Parquet file.
pub fn footer_length(tail: &[u8]) -> Option<usize> {
    let (rest, magic) = tail.split_last_chunk::<4>()?;
    let (_, length) = rest.split_last_chunk::<4>()?;
    (magic == b"PAR1").then(|| u32::from_le_bytes(*length) as usize)
}

/// Reads the footer from the file's last bytes, which must hold all of it; `None` where it is no
/// Parquet footer.
pub fn read_footer(tail: &[u8]) -> Option<FooterSummary> {
    let end = tail.len().checked_sub(8)?;
    let start = end.checked_sub(footer_length(tail)?)?;
    let metadata = ParquetMetaDataReader::decode_metadata(&tail[start..end]).ok()?;
    let file = metadata.file_metadata();
    let key_values = file
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    Some(FooterSummary { rows: u64::try_from(file.num_rows()).ok()?, key_values })
}
