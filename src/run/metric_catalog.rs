//! The table of a tenant's metrics in the lake: a file for each registry version, for analysts.

use arrow::array::RecordBatch;
use cxlake_sinks::lake::{Lake, tenant_folder};
use cxlake_sinks::parquet::{Codec, ParquetOptions, ParquetWriter};

use super::work_folder::WorkFolder;
use crate::registry::{RegistryVersion, metric_catalog};
use crate::vocabulary::Failure;

/// The folder of the table, in the tenant's.
pub(super) const METRIC_CATALOG: &str = "metric_catalog";

/// Writes the file of a registry version, where it is not there yet: a version never changes, and
/// neither does its file.
pub(super) async fn write_metric_catalog(lake: &Lake, tenant: &str, version: &RegistryVersion) -> Result<(), Failure> {
    let key = format!("{}/{METRIC_CATALOG}/v{:04}.parquet", tenant_folder(tenant), version.version);
    if lake.state(&key).await?.is_some() {
        return Ok(());
    }
    let batch = metric_catalog(version)?;
    let file = tokio::task::spawn_blocking(move || file(&batch))
        .await
        .map_err(|error| Failure::defect(format!("write the metric catalog: {error}")))??;
    // Whoever was first wrote the same.
    lake.create(&key, file.into()).await?;
    Ok(())
}

fn file(batch: &RecordBatch) -> Result<Vec<u8>, Failure> {
    let folder = WorkFolder::create()?;
    let options = ParquetOptions { codec: Codec::Zstd(3), row_group_rows: 1 << 20, bloom_columns: Vec::new() };
    let mut writer = ParquetWriter::create(folder.path(), batch.schema(), &options)?;
    writer.write(batch)?;
    let staged = writer.finish(&[])?;
    std::fs::read(staged.file.path()).map_err(|error| {
        Failure::unavailable(format!("read a temporary file: {error}")).hint("check the disk of the temporary folder")
    })
}
