//! From Arrow record batches to committed Parquet in a lake.
//!
//! This crate begins at the `RecordBatch` and never names the source that the rows came from.
//! Modules import only what stands before them: [`failure`] < [`parquet`] < [`lake`].

pub mod failure;
pub mod lake;
pub mod parquet;
