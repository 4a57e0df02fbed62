//! From Arrow record batches to committed Parquet in a lake, and from there into a warehouse.
//!
//! This crate begins at the `RecordBatch` and never names the source that the rows came from.
//! Modules import only what stands before them: [`failure`] < [`parquet`] < [`lake`] <
//! [`warehouse`].

pub mod failure;
pub mod lake;
pub mod parquet;
pub mod warehouse;
