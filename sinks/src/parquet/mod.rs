//! Record batches into a Parquet file on the local disk.

mod encodings;
mod footer;
mod hashing_file;
mod mapping;
mod reader;
mod waiting_pages;
mod writer;

pub use footer::{ColumnRange, FooterSummary, column_ranges, footer_length, read_footer};
pub use hashing_file::{hex, sha256_of_file};
pub use reader::{ParquetBatches, read_parquet};
pub use writer::{Codec, ParquetOptions, ParquetWriter, StagedFile};
