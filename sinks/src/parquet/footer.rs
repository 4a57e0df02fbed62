//! What a Parquet file's footer says of itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::data_type::AsBytes as _;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

/// The rows and the key-values of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FooterSummary {
    /// Rows of the file.
    pub rows: u64,
    /// Key-values of the footer.
    pub key_values: BTreeMap<String, String>,
    /// Its columns; `None` where they are none that Arrow knows.
    pub schema: Option<SchemaRef>,
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
    let metadata = metadata(tail)?;
    let file = metadata.file_metadata();
    let key_values = file
        .key_value_metadata()
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok().map(Arc::new);
    Some(FooterSummary { rows: u64::try_from(file.num_rows()).ok()?, key_values, schema })
}

fn metadata(tail: &[u8]) -> Option<ParquetMetaData> {
    let end = tail.len().checked_sub(8)?;
    let start = end.checked_sub(footer_length(tail)?)?;
    ParquetMetaDataReader::decode_metadata(&tail[start..end]).ok()
}

/// The least and the greatest value of a column in a row group, as text. Of long texts only a
/// beginning is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRange {
    /// No value is less.
    pub least: String,
    /// No value is greater.
    pub greatest: String,
    /// Whether both are values of the column.
    pub exact: bool,
}

/// The ranges of a column in the row groups of a file that have a value of it, from the file's last
/// bytes; `None` where it is no Parquet file or does not say.
pub fn column_ranges(tail: &[u8], column: &str) -> Option<Vec<ColumnRange>> {
    let metadata = metadata(tail)?;
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns());
    let chunks = chunks.filter(|chunk| chunk.column_path().string() == column && chunk.num_values() > 0);
    let mut ranges = Vec::new();
    for chunk in chunks {
        let statistics = chunk.statistics()?;
        if statistics.null_count_opt() != Some(u64::try_from(chunk.num_values()).unwrap_or_default()) {
            ranges.push(range(chunk, statistics)?);
        }
    }
    Some(ranges)
}

fn range(chunk: &ColumnChunkMetaData, statistics: &Statistics) -> Option<ColumnRange> {
    let (least, greatest) = match statistics {
        Statistics::Boolean(values) => (values.min_opt()?.to_string(), values.max_opt()?.to_string()),
        Statistics::Double(values) => (values.min_opt()?.to_string(), values.max_opt()?.to_string()),
        Statistics::Int32(values) => {
            (whole(chunk, (*values.min_opt()?).into()), whole(chunk, (*values.max_opt()?).into()))
        }
        Statistics::Int64(values) => {
            (whole(chunk, (*values.min_opt()?).into()), whole(chunk, (*values.max_opt()?).into()))
        }
        Statistics::FixedLenByteArray(values) => (
            whole(chunk, big_endian(values.min_opt()?.as_bytes())?),
            whole(chunk, big_endian(values.max_opt()?.as_bytes())?),
        ),
        Statistics::ByteArray(values) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(values.min_opt()?.as_bytes()), text(values.max_opt()?.as_bytes()))
        }
        Statistics::Int96(_) | Statistics::Float(_) => return None,
    };
    Some(ColumnRange { least, greatest, exact: statistics.min_is_exact() && statistics.max_is_exact() })
}

/// A whole number, or the decimal that it stands for.
fn whole(chunk: &ColumnChunkMetaData, unscaled: i128) -> String {
    // Other types have a scale of 0 or none (-1).
    let scale = usize::try_from(chunk.column_descr().type_scale()).unwrap_or_default();
    if scale == 0 {
        return unscaled.to_string();
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

fn big_endian(bytes: &[u8]) -> Option<i128> {
    let mut wide = if bytes.first()? & 0x80 == 0 { [0; 16] } else { [0xff; 16] };
    let start = wide.len().checked_sub(bytes.len())?;
    wide[start..].copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}
