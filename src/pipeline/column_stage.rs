//! Pages into batches, on a thread of its own.

use std::sync::mpsc::SyncSender;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{WindowJob, start_thread};
use crate::columns::{RecordTyper, Typed, TypedBatch};
use crate::extraction::Delivery;
use crate::vocabulary::{Failure, StageTime, Stopwatch};

pub(super) fn start(
    job: WindowJob,
    pages: mpsc::Receiver<Delivery>,
    batches: SyncSender<TypedBatch>,
) -> JoinHandle<Result<(Typed, StageTime), Failure>> {
    start_thread(tracing::info_span!("type"), move || type_pages(job, pages, &batches))
}

fn type_pages(
    job: WindowJob,
    mut pages: mpsc::Receiver<Delivery>,
    batches: &SyncSender<TypedBatch>,
) -> Result<(Typed, StageTime), Failure> {
    let WindowJob { window, time_zone, plan, progress, clock, .. } = job;
    let defect = |error| Failure::defect(format!("type a page: {error}"));
    let mut typer = None;
    let mut ready = Vec::new();
    let mut stopwatch = Stopwatch::start(clock);
    while let Some(delivery) = pages.blocking_recv() {
        stopwatch.waited_for_input();
        match delivery {
            Delivery::Total(total) => {
                progress.records_expected(total);
                typer = Some(RecordTyper::new(plan.clone(), window, &time_zone, total));
                stopwatch.worked();
            }
            Delivery::Page(page) => {
                let typer = typer.as_mut().ok_or_else(|| Failure::defect("type a page that came before the total"))?;
                typer.page(&page, &mut ready).map_err(defect)?;
                progress.records_typed(page.record_count());
                stopwatch.worked();
                pass_on(&mut ready, batches)?;
                stopwatch.waited_for_output();
            }
        }
    }
    stopwatch.waited_for_input();
    let typer = typer.unwrap_or_else(|| RecordTyper::new(plan, window, &time_zone, 0));
    let typed = typer.finish(&mut ready).map_err(defect)?;
    stopwatch.worked();
    pass_on(&mut ready, batches)?;
    stopwatch.waited_for_output();
    Ok((typed, stopwatch.time()))
}

fn pass_on(ready: &mut Vec<TypedBatch>, batches: &SyncSender<TypedBatch>) -> Result<(), Failure> {
    for batch in ready.drain(..) {
        batches.send(batch).map_err(|_| Failure::defect("write a batch: nobody takes it"))?;
    }
    Ok(())
}
