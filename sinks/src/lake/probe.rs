//! Proof that a store keeps the conditions that commits rest on. Some stores that speak S3's
//! protocol answer 200 and ignore them.

use bytes::Bytes;
use futures::future::join_all;
use object_store::ObjectStore as _;
use object_store::{ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, UpdateVersion};

use super::store::Lake;
use crate::failure::SinkFailure;

/// Creates that race for one key.
const RACERS: usize = 8;
/// Just over the least part of a multipart upload (5 MiB), so that there are two parts.
const LARGE_BYTES: usize = (5 << 20) + 1;

/// Proves with objects under `folder` that of racing creates one wins, that a replacement of a version
/// that is not there fails, and that of racing replacements of one that is there one wins (some stores
/// compare and then write, with room for others between). `name` must be new.
///
/// # Errors
/// [`crate::failure::SinkFailureKind::Configuration`] where the store ignores conditions.
pub async fn probe_conditions(lake: &Lake, folder: &str, name: &str) -> Result<(), SinkFailure> {
    let key = format!("{folder}/{name}");
    let path = lake.path(&key);
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let racers = (0..RACERS).map(|racer| lake.store().put_opts(&path, PutPayload::from(format!("{racer}")), create()));
    let answers = join_all(racers).await;
    let winners = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = |error: &object_store::Error| {
        matches!(error, object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. })
    };
    if winners == 0 {
        let error = answers.into_iter().find_map(|answer| answer.err().filter(|error| !refused(error)));
        if let Some(error) = error {
            return Err(SinkFailure::store(&format!("write to {}", lake.uri(&key)), &error));
        }
        // The winner's answer may have been lost, and its own second try refused.
        if lake.get(&key).await?.is_none() {
            return Err(ignores(lake, "none of racing creates won"));
        }
    }
    if winners > 1 {
        return Err(ignores(lake, &format!("{winners} of {RACERS} racing creates of one object won")));
    }
    if !lake.is_local() {
        let stale = UpdateVersion { e_tag: Some("\"0123456789abcdef0123456789abcdef\"".to_owned()), version: None };
        let options = PutOptions { mode: PutMode::Update(stale), ..PutOptions::default() };
        if lake.store().put_opts(&path, PutPayload::from_static(b"stale"), options).await.is_ok() {
            return Err(ignores(lake, "a replacement of a version that is not there was accepted"));
        }
        let winners = racing_replacements(lake, &key).await?;
        if winners == 0 {
            return Err(SinkFailure::unavailable(
                format!("replace {}: none of racing replacements came through", lake.uri(&key)),
                "run it again",
            ));
        }
        if winners > 1 {
            return Err(ignores(lake, &format!("{winners} of {RACERS} racing replacements of one version won")));
        }
    }
    forget(lake, &key).await;
    Ok(())
}

/// How many of racing replacements of what is at a key win.
async fn racing_replacements(lake: &Lake, key: &str) -> Result<usize, SinkFailure> {
    let Some(seen) = lake.state(key).await? else { return Ok(0) };
    let version = UpdateVersion { e_tag: seen.etag, version: seen.version };
    let path = lake.path(key);
    let replace = |racer: usize| {
        let options = PutOptions { mode: PutMode::Update(version.clone()), ..PutOptions::default() };
        lake.store().put_opts(&path, PutPayload::from(format!("replacement {racer}")), options)
    };
    let answers = join_all((0..RACERS).map(replace)).await;
    Ok(answers.iter().filter(|answer| answer.is_ok()).count())
}

/// How a store takes large objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeWrites {
    /// In parts, put together on a condition.
    InParts,
    /// In one put on a condition, for its parts know none.
    InOnePut,
}

/// Proves with objects under `folder` that a multipart upload works (with some rights small writes
/// succeed and large ones fail), and how large objects will go up.
///
/// # Errors
/// Where the store refuses.
pub async fn probe_large_write(lake: &Lake, folder: &str, name: &str) -> Result<LargeWrites, SinkFailure> {
    let key = format!("{folder}/{name}");
    let failed =
        |error: object_store::Error| SinkFailure::store(&format!("write a large object to {}", lake.uri(&key)), &error);
    let options = PutMultipartOptions::default();
    let mut upload = lake.store().put_multipart_opts(&lake.path(&key), options).await.map_err(failed)?;
    let content = Bytes::from(vec![b'x'; LARGE_BYTES]);
    for part in [content.slice(..LARGE_BYTES - 1), content.slice(LARGE_BYTES - 1..)] {
        upload.put_part(part.into()).await.map_err(failed)?;
    }
    upload.complete().await.map_err(failed)?;
    forget(lake, &key).await;
    let Some(uploads) = lake.uploads() else { return Ok(LargeWrites::InOnePut) };
    let on_condition = Box::pin(uploads.keep_conditions(&lake.path(&key))).await?;
    forget(lake, &key).await;
    Ok(if on_condition { LargeWrites::InParts } else { LargeWrites::InOnePut })
}

/// The right to delete is optional: without it the probe's object stays.
async fn forget(lake: &Lake, key: &str) {
    if let Err(error) = lake.store().delete(&lake.path(key)).await {
        tracing::debug!(key, %error, "the probe's object stays");
    }
}

fn ignores(lake: &Lake, what: &str) -> SinkFailure {
    SinkFailure::configuration(
        format!("trust the lake {}: {what}", lake.url()),
        "the store ignores conditional writes (If-None-Match, If-Match): use one that keeps them",
    )
}
