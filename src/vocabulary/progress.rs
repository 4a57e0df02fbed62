//! How far a run is, for whoever shows it.

/// Told of a run's steps. Calls come from several threads.
pub trait Progress: Send + Sync {
    /// A window begins: `label` names it.
    fn window_started(&self, label: &str);
    /// The window has this many records.
    fn records_expected(&self, records: u64);
    /// So many more records of the window were typed.
    fn records_typed(&self, records: u64);
    /// The window ended, with this outcome.
    fn window_finished(&self, outcome: &str);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn window_started(&self, _: &str) {}
    fn records_expected(&self, _: u64) {}
    fn records_typed(&self, _: u64) {}
    fn window_finished(&self, _: &str) {}
}
