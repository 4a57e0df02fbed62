//! What a lake needs of a store, tried on one: every store that cxlake names passes all of it.

use bytes::Bytes;
use futures::future::join_all;
use sha2::{Digest as _, Sha256};

use super::probe::{probe_conditions, probe_large_write};
use super::store::{Lake, Put};
use crate::failure::SinkFailure;
use crate::parquet::{StagedFile, hex};

/// A thing that was tried, and why it failed.
pub type Check = (&'static str, Result<(), String>);

/// Tries a store below `folder`, which must be empty. Objects stay there where it may not delete.
pub async fn conformance(lake: &Lake, folder: &str) -> Vec<Check> {
    let suite = Suite { lake, folder };
    vec![
        ("creates that race", suite.racing_creates().await),
        ("a create that is tried again", suite.create_again().await),
        ("compare and swap", suite.compare_and_swap().await),
        ("swaps that race", suite.racing_swaps().await),
        ("an upload in parts", suite.large_write().await),
        ("listing", suite.listing().await),
        ("names of folders", suite.names().await),
        ("what is not there", suite.nothing().await),
    ]
}

struct Suite<'a> {
    lake: &'a Lake,
    folder: &'a str,
}

impl Suite<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    async fn racing_creates(&self) -> Result<(), String> {
        words(probe_conditions(self.lake, &self.key("racing"), "probe").await)?;
        let key = self.key("racing/create");
        let creates = (0..8).map(|racer| self.lake.create(&key, Bytes::from(format!("racer {racer}"))));
        let winners = join_all(creates).await.into_iter().filter(|created| *created == Ok(true)).count();
        equal(winners, 1)
    }

    /// After a lost answer the same content is ours, and another is not.
    async fn create_again(&self) -> Result<(), String> {
        let key = self.key("again");
        for (content, created) in [("mine", true), ("mine", true), ("another's", false)] {
            equal(words(self.lake.create(&key, content.into()).await)?, created)?;
        }
        equal(words(self.lake.get(&key).await)?, Some(Bytes::from("mine")))
    }

    async fn replace(
        &self,
        key: &str,
        content: &str,
        seen: Option<&super::store::ObjectState>,
    ) -> Result<bool, String> {
        let put = self.lake.replace(key, &self.key("staging"), &file(content)?, seen).await;
        Ok(matches!(words(put)?, Put::Published(_)))
    }

    async fn compare_and_swap(&self) -> Result<(), String> {
        let key = self.key("swap");
        equal(self.replace(&key, "first", None).await?, true)?;
        equal(self.replace(&key, "nobody's", None).await?, false)?;
        let first = words(self.lake.state(&key).await)?;
        equal(self.replace(&key, "the second", first.as_ref()).await?, true)?;
        equal(self.replace(&key, "stale", first.as_ref()).await?, false)?;
        equal(words(self.lake.get(&key).await)?, Some(Bytes::from("the second")))
    }

    async fn racing_swaps(&self) -> Result<(), String> {
        let key = self.key("racing-swaps");
        equal(self.replace(&key, "first", None).await?, true)?;
        let seen = words(self.lake.state(&key).await)?;
        let names: Vec<String> = (0..6).map(|racer| format!("racer number {racer}")).collect();
        let swaps = join_all(names.iter().map(|name| self.replace(&key, name, seen.as_ref()))).await;
        let won: Vec<&String> =
            names.iter().zip(&swaps).filter(|(_, swap)| **swap == Ok(true)).map(|(name, _)| name).collect();
        equal(won.len(), 1)?;
        equal(words(self.lake.get(&key).await)?.as_deref(), won.first().map(|name| name.as_bytes()))
    }

    async fn large_write(&self) -> Result<(), String> {
        words(probe_large_write(self.lake, &self.key("large"), "probe").await).map(drop)
    }

    /// All below a folder, in order, and nothing of a folder whose name only begins like it.
    async fn listing(&self) -> Result<(), String> {
        for name in ["list/b", "list/a/deep", "list/c", "listed/other"] {
            equal(words(self.lake.create(&self.key(name), "content".into()).await)?, true)?;
        }
        let expected: Vec<(String, u64)> = ["list/a/deep", "list/b", "list/c"].map(|name| (self.key(name), 7)).to_vec();
        equal(words(self.lake.list(&self.key("list")).await)?, expected)?;
        equal(words(self.lake.list(&self.key("no-such-folder")).await)?, Vec::new())
    }

    /// Every character that keys may have.
    async fn names(&self) -> Result<(), String> {
        let key = self.key("odd/dt=2024-01-01/A-Z_a.z=0--9.tar.parquet");
        equal(words(self.lake.create(&key, Bytes::new()).await)?, true)?;
        equal(words(self.lake.list(&self.key("odd")).await)?, vec![(key.clone(), 0)])?;
        equal(words(self.lake.get(&key).await)?, Some(Bytes::new()))
    }

    async fn nothing(&self) -> Result<(), String> {
        let key = self.key("nothing");
        equal(words(self.lake.get(&key).await)?, None)?;
        equal(words(self.lake.state(&key).await)?, None)
    }
}

fn file(content: &str) -> Result<StagedFile, String> {
    let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    std::fs::write(file.path(), content).map_err(|error| error.to_string())?;
    Ok(StagedFile { file, rows: 0, bytes: content.len() as u64, sha256: hex(&Sha256::digest(content)) })
}

fn words<T>(outcome: Result<T, SinkFailure>) -> Result<T, String> {
    outcome.map_err(|failure| failure.to_string())
}

fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}
