//! Record batches into a Parquet file on the local disk.

mod footer;
mod hashing_file;
mod writer;

pub use footer::{FooterSummary, footer_length, read_footer};
pub use hashing_file::{hex, sha256_of_file};
pub use writer::{Codec, ParquetOptions, ParquetWriter, StagedFile};
