//! A build without a store that puts parts together on a condition.
#![expect(clippy::unused_async, reason = "as in a build with one")]

use chrono::{DateTime, Utc};
use object_store::path::Path;

use super::store::{ObjectState, Put};
use crate::failure::SinkFailure;

/// There is none.
#[derive(Clone, Debug)]
pub(super) enum Uploads {}

impl Uploads {
    pub(super) async fn keep_conditions(&self, _: &Path) -> Result<bool, SinkFailure> {
        match *self {}
    }

    pub(super) async fn replace(
        &self,
        _: &Path,
        _: &std::path::Path,
        _: u64,
        _: Option<&ObjectState>,
    ) -> Result<Put, SinkFailure> {
        match *self {}
    }

    pub(super) async fn unfinished(&self, _: &Path) -> Result<Vec<(Path, String, DateTime<Utc>)>, SinkFailure> {
        match *self {}
    }

    pub(super) async fn remove(&self, _: &Path, _: &str) -> Result<(), String> {
        match *self {}
    }
}
