//! Batches into two Parquet files, on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use cxlake_sinks::failure::SinkFailure;
use cxlake_sinks::parquet::ParquetWriter;
use tokio::task::JoinHandle;

use super::{WindowFault, WindowJob, start_thread};
use crate::columns::{TypedBatch, quarantine_schema};

type Written = Result<(ParquetWriter, ParquetWriter), SinkFailure>;

pub(super) fn start(job: &WindowJob, batches: Receiver<TypedBatch>) -> Result<JoinHandle<Written>, WindowFault> {
    let create = |schema| ParquetWriter::create(&job.folder, schema, &job.parquet).map_err(WindowFault::Disk);
    let data = create(Arc::clone(job.plan.schema()))?;
    let quarantine = create(quarantine_schema())?;
    Ok(start_thread(move || write_batches(data, quarantine, &batches)))
}

fn write_batches(mut data: ParquetWriter, mut quarantine: ParquetWriter, batches: &Receiver<TypedBatch>) -> Written {
    for batch in batches {
        match batch {
            TypedBatch::Accepted(batch) => data.write(&batch)?,
            TypedBatch::Quarantined(batch) => quarantine.write(&batch)?,
        }
    }
    Ok((data, quarantine))
}
