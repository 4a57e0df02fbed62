//! Batches into two Parquet files, on a thread of its own.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use cxlake_sinks::failure::SinkFailure;
use cxlake_sinks::parquet::ParquetWriter;
use tokio::task::JoinHandle;

use super::{WindowFault, WindowJob, start_thread};
use crate::columns::{TypedBatch, quarantine_schema};
use crate::vocabulary::{StageTime, Stopwatch};

/// The files of accepted rows and of rejects, and where the time went.
type Written = Result<(ParquetWriter, ParquetWriter, StageTime), SinkFailure>;

pub(super) fn start(job: &WindowJob, batches: Receiver<TypedBatch>) -> Result<JoinHandle<Written>, WindowFault> {
    let create = |schema| ParquetWriter::create(&job.folder, schema, &job.parquet).map_err(WindowFault::Disk);
    let data = create(Arc::clone(job.plan.schema()))?;
    let quarantine = create(quarantine_schema())?;
    let stopwatch = Stopwatch::start(Arc::clone(&job.clock));
    Ok(start_thread(tracing::info_span!("write"), move || write_batches(data, quarantine, &batches, stopwatch)))
}

fn write_batches(
    mut data: ParquetWriter,
    mut quarantine: ParquetWriter,
    batches: &Receiver<TypedBatch>,
    mut stopwatch: Stopwatch,
) -> Written {
    for batch in batches {
        stopwatch.waited_for_input();
        match batch {
            TypedBatch::Accepted(batch) => data.write(&batch)?,
            TypedBatch::Quarantined(batch) => quarantine.write(&batch)?,
        }
        stopwatch.worked();
    }
    stopwatch.waited_for_input();
    Ok((data, quarantine, stopwatch.time()))
}
