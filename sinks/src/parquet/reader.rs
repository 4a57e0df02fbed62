//! A Parquet file of ours back into record batches.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::failure::SinkFailure;

/// About how large a batch is, for single rows can be megabytes.
const BATCH_BYTES: i64 = 16 << 20;
const BATCH_ROWS: usize = 8192;

/// The batches of a file, in its order.
pub struct ParquetBatches(ParquetRecordBatchReader);

/// Opens a file that is known to be whole. With `columns` only those of it are read.
///
/// # Errors
/// Where it cannot be read.
pub fn read_parquet(path: &Path, columns: Option<&[&str]>) -> Result<ParquetBatches, SinkFailure> {
    let file = File::open(path).map_err(|error| SinkFailure::disk("open a temporary file", &error))?;
    let unreadable = |error| SinkFailure::mismatch(format!("read a Parquet file of the lake: {error}"));
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(unreadable)?;
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(columns) => ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied()),
    };
    let groups = builder.metadata().row_groups();
    let bytes: i64 = groups.iter().map(|group| group.total_byte_size()).sum();
    let rows: i64 = groups.iter().map(|group| group.num_rows()).sum();
    let rows_at_once = BATCH_BYTES / (bytes / rows.max(1)).max(1);
    let rows_at_once = usize::try_from(rows_at_once).unwrap_or(1).clamp(1, BATCH_ROWS);
    builder.with_batch_size(rows_at_once).with_projection(mask).build().map(ParquetBatches).map_err(unreadable)
}

impl Iterator for ParquetBatches {
    type Item = Result<RecordBatch, SinkFailure>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.0.next()?;
        Some(batch.map_err(|error| SinkFailure::mismatch(format!("read a Parquet file of the lake: {error}"))))
    }
}
