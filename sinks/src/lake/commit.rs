//! The commit of a window: look, plan, publish quarantine then data, done. Why each step is where
//! it is stands in `src/ARCHITECTURE.md`.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{Days, NaiveDate};

use super::layout::{ManifestName, ObjectKind, WindowAddress, overlap};
use super::manifest::{Done, ObjectProof, Plan};
use super::store::{Lake, ObjectState, Put};
use crate::failure::SinkFailure;
use crate::parquet::StagedFile;

/// How often an object is read back and put again before the outcome counts as unknown.
const PUBLISH_TRIES: u32 = 8;
/// The pause before an object is read back after a doubtful answer, times the number of the try.
const READ_BACK_PAUSE: Duration = Duration::from_millis(100);

/// The commit of one window.
#[derive(Clone, Copy, Debug)]
pub struct WindowCommit<'a> {
    /// The lake.
    pub lake: &'a Lake,
    /// The window.
    pub address: &'a WindowAddress,
}

/// What the lake knows of a window.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The highest number that a plan has.
    pub highest_plan: Option<u32>,
    /// The done with the highest number.
    pub newest_done: Option<Done>,
    /// Windows with other borders in this time, of which there are plans.
    planned_in_the_same_time: Vec<WindowAddress>,
}

/// The two files of a window, whole and nowhere visible.
#[derive(Debug)]
pub struct Extract {
    /// Accepted rows.
    pub data: StagedFile,
    /// Rejected records.
    pub quarantine: StagedFile,
}

/// A committed window.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What was written down.
    pub done: Done,
    /// The key of the done.
    pub manifest: String,
}

impl History {
    /// The number for a next plan.
    pub fn next_sequence(&self) -> u32 {
        let done = self.newest_done.as_ref().map_or(0, |done| done.sequence);
        self.highest_plan.unwrap_or(0).max(done) + 1
    }

    /// The done that holds: with a newer plan open it may be half replaced, and holds no more.
    pub fn settled(&self) -> Option<&Done> {
        self.newest_done.as_ref().filter(|done| self.highest_plan.is_none_or(|plan| plan <= done.sequence))
    }
}

impl WindowCommit<'_> {
    /// Reads what is known of the window.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Configuration`] where the lake has windows with other
    /// borders in this time.
    pub async fn look(&self) -> Result<History, SinkFailure> {
        let mut history = History::default();
        let mut newest_done = None;
        let mut planned_others = BTreeSet::new();
        // Windows that share time with this one lie in its partition or in one beside it.
        for date in [self.address.date - Days::new(1), self.address.date, self.address.date + Days::new(1)] {
            for (key, _) in self.lake.list(&self.address.manifests(date)).await? {
                let Some(name) = key.rsplit('/').next().and_then(ManifestName::parse) else { continue };
                // In another partition the same borders are those of another zone.
                if name.window != self.address.window || date != self.address.date {
                    if !overlap(&name.window, &self.address.window) {
                        continue;
                    }
                    if name.is_done {
                        return Err(self.overlaps(&name.window, date));
                    }
                    planned_others.insert((date, name.window));
                } else if name.is_done {
                    newest_done = newest_done.max(Some(name.sequence));
                } else {
                    history.highest_plan = history.highest_plan.max(Some(name.sequence));
                }
            }
        }
        let address = |(date, window)| WindowAddress { date, window, ..self.address.clone() };
        history.planned_in_the_same_time = planned_others.into_iter().map(address).collect();
        if let Some(sequence) = newest_done {
            let done = self.read_done(sequence).await?;
            history.newest_done = Some(done.ok_or_else(|| self.gone(sequence))?);
        }
        Ok(history)
    }

    fn overlaps(&self, other: &str, date: NaiveDate) -> SinkFailure {
        SinkFailure::configuration(
            format!(
                "commit the window {} of {}: the lake has the window {other} of {date} in the same time",
                self.address.window, self.address.report
            ),
            "neither day and hour windows of one report mix, nor those of two time zones: keep them as they were, or \
             give the report a new name",
        )
    }

    /// Refuses this window where an interrupted run of another one in the same time has published an object, which
    /// nobody removes: its records would be there twice.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Configuration`] where it has; where the store fails.
    pub async fn refuse_published_in_the_same_time(&self, history: &History) -> Result<(), SinkFailure> {
        for other in &history.planned_in_the_same_time {
            for key in [ObjectKind::Quarantine, ObjectKind::Data].map(|kind| other.object(kind)) {
                if self.lake.state(&key).await?.is_some() {
                    return Err(SinkFailure::configuration(
                        format!(
                            "commit the window {} of {}: an interrupted run of the window {} in the same time left {}",
                            self.address.window,
                            self.address.report,
                            other.window,
                            self.lake.uri(&key)
                        ),
                        "end that run with the same `window` and time zone, or move the object out of the lake",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The done of a number; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub async fn read_done(&self, sequence: u32) -> Result<Option<Done>, SinkFailure> {
        let content = self.lake.get(&self.address.done(sequence)).await?;
        let done = content.map(|content| serde_json::from_slice(&content)).transpose();
        // Dones are written whole or not at all: what is damaged stays so.
        done.map_err(|error| SinkFailure::damaged(self.unread(sequence, &error.to_string())))
    }

    fn unread(&self, sequence: u32, reason: &str) -> String {
        format!("read the manifest {}: {reason}", self.lake.uri(&self.address.done(sequence)))
    }

    /// A done that was there a moment ago.
    fn gone(&self, sequence: u32) -> SinkFailure {
        SinkFailure::unavailable(
            self.unread(sequence, "it is gone"),
            "`cxlake verify` lists what is wrong with the lake",
        )
    }

    /// Whether both objects of a done are there as it says, by the store's tag; where that tells nothing, as in a local
    /// folder, they are read whole.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn is_in_place(&self, done: &Done) -> Result<bool, SinkFailure> {
        for object in [&done.data, &done.quarantine] {
            let Some(state) = self.lake.state(&object.proof.key).await? else { return Ok(false) };
            if state.bytes != object.proof.bytes {
                return Ok(false);
            }
            let is_same_version = !self.lake.is_local() && state.etag.is_some() && state.etag == object.etag;
            if !is_same_version && self.lake.sha256(&object.proof.key).await? != object.proof.sha256 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The key of the manifest of a done.
    pub fn manifest(&self, done: &Done) -> String {
        self.address.done(done.sequence)
    }

    /// Commits a window's files under a plan.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Superseded`] where another run has the plan's number or a
    /// higher one; nothing is cleaned up then, nor where the outcome is unknown.
    pub async fn commit(
        &self,
        plan: &Plan,
        extract: &Extract,
        now: impl Fn() -> String,
    ) -> Result<Committed, SinkFailure> {
        // What will be refused is refused before there is a plan, which would stay open.
        for (proof, file) in [(&plan.data, &extract.data), (&plan.quarantine, &extract.quarantine)] {
            self.lake.refuse_too_large(&proof.key, file.bytes, &self.address.staging()).await?;
            if classify(self.lake.state(&proof.key).await?.as_ref(), plan, proof) == Found::Stranger {
                return Err(self.stranger(&proof.key));
            }
        }
        if !self.lake.create(&self.address.plan(plan.sequence), json(plan)?).await? {
            return Err(self.superseded(plan.sequence));
        }
        self.complete(plan, extract, now).await
    }

    /// Completes a plan that is there with the very files that it promises.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Superseded`] where another run has a higher number.
    pub async fn complete(
        &self,
        plan: &Plan,
        extract: &Extract,
        now: impl Fn() -> String,
    ) -> Result<Committed, SinkFailure> {
        let publish_quarantine = || self.publish(ObjectKind::Quarantine, plan, &plan.quarantine, &extract.quarantine);
        let publish_data = || self.publish(ObjectKind::Data, plan, &plan.data, &extract.data);
        // What a replay moves is nowhere else: it is in `data/` before it leaves `quarantine/`.
        let (data, quarantine) = if plan.replays.is_empty() {
            let quarantine = publish_quarantine().await?;
            (publish_data().await?, quarantine)
        } else {
            let data = publish_data().await?;
            (data, publish_quarantine().await?)
        };
        let done = Done::of(plan, now(), data, quarantine);
        let manifest = self.address.done(plan.sequence);
        if self.lake.create(&manifest, json(&done)?).await? {
            return Ok(Committed { done, manifest });
        }
        // A number is of one plan only: whoever wrote its done completed this one.
        let done = self.read_done(plan.sequence).await?;
        let done = done.ok_or_else(|| self.gone(plan.sequence))?;
        Ok(Committed { done, manifest })
    }

    /// Puts an object where an older version of it, or none, is. The tag of what is there then.
    async fn publish(
        &self,
        kind: ObjectKind,
        plan: &Plan,
        proof: &ObjectProof,
        file: &StagedFile,
    ) -> Result<Option<String>, SinkFailure> {
        let mut doubt = String::new();
        for attempt in 0..PUBLISH_TRIES {
            tokio::time::sleep(READ_BACK_PAUSE * attempt).await;
            let seen = self.lake.state(&proof.key).await?;
            match classify(seen.as_ref(), plan, proof) {
                Found::Mine(etag) => return Ok(etag),
                Found::Newer => return Err(self.superseded(plan.sequence)),
                Found::Stranger => return Err(self.stranger(&proof.key)),
                Found::Absent | Found::Older => {}
            }
            match self.lake.replace(&proof.key, &self.address.staging(), file, seen.as_ref()).await? {
                Put::Published(etag) => return Ok(etag),
                Put::Doubtful(reason) => doubt = reason,
            }
        }
        Err(SinkFailure::unavailable(
            format!("publish the {} of the window {}: {doubt}", kind.folder(), self.address.window),
            "run it again: the next run completes or replaces the window",
        ))
    }

    fn superseded(&self, sequence: u32) -> SinkFailure {
        SinkFailure::superseded(format!(
            "commit the window {} of {} as number {sequence}: another run has that number or a higher one",
            self.address.window, self.address.report
        ))
    }

    fn stranger(&self, key: &str) -> SinkFailure {
        SinkFailure::configuration(
            format!("publish {}: an object that cxlake did not write is there", self.lake.uri(key)),
            "move it away; `cxlake verify` lists all of them",
        )
    }
}

/// What is at an object's key, as far as its footer and length tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Found {
    Absent,
    /// This very plan's object, with its tag.
    Mine(Option<String>),
    Older,
    /// Another run's, of this plan's number or a higher one.
    Newer,
    Stranger,
}

fn classify(seen: Option<&ObjectState>, plan: &Plan, proof: &ObjectProof) -> Found {
    let Some(seen) = seen else { return Found::Absent };
    let sequence = match seen.sequence() {
        Some(sequence) => sequence,
        // Nobody's Parquet at a key that a plan before this one had: one of those objects, damaged.
        None if seen.footer.is_none() && plan.sequence > 1 => return Found::Older,
        None => return Found::Stranger,
    };
    let same_extract = seen.key_value("cxlake.extract_sha256") == Some(&plan.extract_sha256);
    match sequence.cmp(&plan.sequence) {
        std::cmp::Ordering::Less => Found::Older,
        std::cmp::Ordering::Equal if same_extract && seen.bytes == proof.bytes => Found::Mine(seen.etag.clone()),
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => Found::Newer,
    }
}

fn json<T: serde::Serialize>(value: &T) -> Result<bytes::Bytes, SinkFailure> {
    let mut text =
        serde_json::to_vec_pretty(value).map_err(|error| SinkFailure::defect(format!("write a manifest: {error}")))?;
    text.push(b'\n');
    Ok(text.into())
}
