//! A lake's store, and what a commit needs of it: create-if-absent, conditional replacement, and
//! reading back after any doubt.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attribute, AttributeValue, Error, GetOptions, ListResult, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};

use super::local::publish_file;
use super::location::{LakeLocation, Opened, STORAGE_CLASS};
#[cfg(not(feature = "s3"))]
use super::no_uploads::Uploads;
#[cfg(feature = "s3")]
use super::s3_uploads::Uploads;
use super::vacuum::Leftover;
use crate::failure::SinkFailure;
use crate::parquet::{ColumnRange, FooterSummary, StagedFile, column_ranges, footer_length, read_footer};

/// How much of a file's end is read at first: footers of a few hundred columns fit.
const FOOTER_BYTES: u64 = 64 << 10;
/// How often a create is tried whose answer leaves the object absent.
const CREATE_TRIES: u32 = 3;
/// How often an object that is replaced while it is looked at is looked at again.
const STATE_TRIES: u32 = 5;
/// Requests at the same time where many objects are looked at: a store takes tens of milliseconds for
/// each, and as many as it is asked for.
pub const READS_AT_ONCE: usize = 16;
/// What is larger goes up in parts, where the store can put those together on a condition.
pub(super) const LARGEST_PUT: u64 = 64 << 20;

/// How much of a large object is sent at a time.
const BODY_PIECE_BYTES: usize = 1 << 20;
/// The least of the most that stores take in one put (S3, and Azure's Put Blob).
const LARGEST_SINGLE_PUT: u64 = 5000 << 20;
/// The name of the object that proves that uploads in parts keep conditions.
const UPLOAD_PROBE: &str = "upload-conditions.probe";

/// An open lake.
#[derive(Clone, Debug)]
pub struct Lake {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    local_root: Option<PathBuf>,
    uploads: Option<Uploads>,
    /// Of the objects of windows.
    storage_class: Option<String>,
    url: String,
}

/// A version of an object in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectState {
    /// The store's tag of it.
    pub etag: Option<String>,
    /// The store's version of it.
    pub version: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Its footer; `None` where it is no Parquet file.
    pub footer: Option<FooterSummary>,
}

impl ObjectState {
    /// A key-value of its footer.
    pub fn key_value(&self, key: &str) -> Option<&str> {
        self.footer.as_ref()?.key_values.get(key).map(String::as_str)
    }

    /// The number of the plan that it was published under; `None` where cxlake did not write it.
    pub fn sequence(&self) -> Option<u32> {
        self.key_value("cxlake.sequence")?.parse().ok()
    }
}

/// The answer to a conditional put that the store gave without doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is there now, with this tag.
    Published(Option<String>),
    /// The condition failed, or the answer is in doubt: read it back.
    Doubtful(String),
}

impl Lake {
    /// Opens a lake; a local folder is created.
    ///
    /// # Errors
    /// For a URL or option that no store understands, and a folder that cannot be created.
    pub fn open(location: &LakeLocation) -> Result<Self, SinkFailure> {
        let Opened { store, prefix, local_root, uploads } = location.open()?;
        let url = if local_root.is_some() { location.url.as_str() } else { location.url.trim_end_matches('/') };
        let storage_class = location.options.get(STORAGE_CLASS).filter(|_| local_root.is_none()).cloned();
        Ok(Self { store, prefix, local_root, uploads, storage_class, url: url.to_owned() })
    }

    /// Opens a lake without making a folder for it; where there is none yet, the lake is empty and
    /// what is written to it is lost.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub fn open_to_read(location: &LakeLocation) -> Result<Self, SinkFailure> {
        match location.folder() {
            Some(folder) if !folder.exists() => {
                let store = Arc::new(object_store::memory::InMemory::new());
                Ok(Self::in_store(store, &folder.display().to_string()))
            }
            _ => Self::open(location),
        }
    }

    /// Opens a lake that must be there: a folder, or something in a store, which knows no empty folders.
    ///
    /// # Errors
    /// As [`Lake::open`], where there is none, and where the store fails.
    pub async fn open_existing(location: &LakeLocation) -> Result<Self, SinkFailure> {
        let missing = || {
            SinkFailure::configuration(
                format!("open the lake {}: there is none", location.url),
                "check `url` in [lake]",
            )
        };
        if location.folder().is_some_and(|folder| !folder.exists()) {
            return Err(missing());
        }
        let lake = Self::open(location)?;
        if lake.local_root.is_none() && lake.folders("").await?.is_empty() {
            return Err(missing());
        }
        Ok(lake)
    }

    /// A lake in any store, for tests of the protocol.
    #[must_use]
    pub fn in_store(store: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self {
            store,
            prefix: Path::default(),
            local_root: None,
            uploads: None,
            storage_class: None,
            url: url.to_owned(),
        }
    }

    /// The lake's URL, or its path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of an object, as other programs read it.
    pub fn uri(&self, key: &str) -> String {
        match &self.local_root {
            Some(root) if self.url.starts_with("file://") => format!("file://{}", root.join(key).display()),
            Some(root) => root.join(key).display().to_string(),
            None => format!("{}/{key}", self.url),
        }
    }

    pub(super) fn path(&self, key: &str) -> Path {
        self.prefix.parts().chain(Path::from(key).parts()).collect()
    }

    /// The key of what is at a path of the store.
    pub(super) fn relative(&self, location: &Path) -> String {
        location.parts().skip(self.prefix.parts().count()).collect::<Path>().to_string()
    }

    /// Files of a local lake that had no name yet when their run ended.
    pub(super) fn unnamed_files(&self, folder: &str) -> Result<Vec<Leftover>, SinkFailure> {
        match &self.local_root {
            Some(root) => super::local::unnamed_files(root, folder)
                .map_err(|error| SinkFailure::disk(&format!("list {}", self.uri(folder)), &error)),
            None => Ok(Vec::new()),
        }
    }

    pub(super) fn remove_unnamed(&self, key: &str) -> std::io::Result<()> {
        let removed = self.local_root.as_ref().map_or(Ok(()), |root| std::fs::remove_file(root.join(key)));
        removed.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    pub(super) fn uploads(&self) -> Option<&Uploads> {
        self.uploads.as_ref()
    }

    pub(super) fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Whether conditional replacement goes by tags (it goes by locks in a local folder).
    pub fn is_local(&self) -> bool {
        self.local_root.is_some()
    }

    /// The whole of a small object; `None` where there is none.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn get(&self, key: &str) -> Result<Option<Bytes>, SinkFailure> {
        let doing = || format!("read {}", self.uri(key));
        match self.store.get(&self.path(key)).await {
            Ok(answer) => answer.bytes().await.map(Some).map_err(|error| SinkFailure::store(&doing(), &error)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(SinkFailure::store(&doing(), &error)),
        }
    }

    /// Creates a small object where there is none. False where there is one with another content.
    /// A store's error is no evidence: after any doubt the object is read back, and our own content
    /// counts as created.
    ///
    /// # Errors
    /// Where the store fails, and where it remains unknown whether the object is there.
    pub async fn create(&self, key: &str, content: Bytes) -> Result<bool, SinkFailure> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let mut last_error = None;
        for _ in 0..CREATE_TRIES {
            let payload = PutPayload::from(content.clone());
            match self.store.put_opts(&self.path(key), payload, options.clone()).await {
                Ok(_) => return Ok(true),
                Err(error) => {
                    if let Some(found) = self.get(key).await? {
                        return Ok(found == content);
                    }
                    last_error = Some(error);
                }
            }
        }
        let doing = format!("create {}", self.uri(key));
        Err(match last_error {
            Some(error) => SinkFailure::store(&doing, &error),
            None => SinkFailure::defect(doing),
        })
    }

    /// The keys below a folder, relative to the lake, sorted, with their lengths.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, SinkFailure> {
        let prefix = self.path(folder);
        let found: Result<Vec<_>, Error> = self.store.list(Some(&prefix)).try_collect().await;
        let found = found.map_err(|error| SinkFailure::store(&format!("list {}", self.uri(folder)), &error))?;
        let mut keys: Vec<(String, u64)> =
            found.iter().map(|object| (self.relative(&object.location), object.size)).collect();
        keys.sort_unstable();
        Ok(keys)
    }

    async fn entries(&self, folder: &str) -> Result<ListResult, SinkFailure> {
        let found = self.store.list_with_delimiter(Some(&self.path(folder))).await;
        found.map_err(|error| SinkFailure::store(&format!("list {}", self.uri(folder)), &error))
    }

    /// The keys of what lies in a folder itself.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn files(&self, folder: &str) -> Result<Vec<String>, SinkFailure> {
        let found = self.entries(folder).await?;
        Ok(found.objects.iter().map(|object| self.relative(&object.location)).collect())
    }

    /// The names of the folders in a folder, sorted.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn folders(&self, folder: &str) -> Result<Vec<String>, SinkFailure> {
        let found = self.entries(folder).await?;
        let mut names: Vec<String> =
            found.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The version of an object that is there now; `None` where there is none. Tag and footer are of
    /// one version: an object that is replaced meanwhile is looked at again.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn state(&self, key: &str) -> Result<Option<ObjectState>, SinkFailure> {
        let failed = |error: Error| SinkFailure::store(&format!("read {}", self.uri(key)), &error);
        let path = self.path(key);
        let mut tries = 0..STATE_TRIES;
        loop {
            let head = match self.store.head(&path).await {
                Ok(head) => head,
                Err(Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            match self.footer(&path, head.size, head.e_tag.clone()).await {
                Ok(tail) => {
                    let footer = read_footer(&tail);
                    return Ok(Some(ObjectState { etag: head.e_tag, version: head.version, bytes: head.size, footer }));
                }
                Err(Error::Precondition { .. } | Error::NotFound { .. }) if tries.next().is_some() => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// The ranges of a column in an object, from its footer; `None` where it does not say.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn column_ranges(
        &self,
        key: &str,
        bytes: u64,
        column: &str,
    ) -> Result<Option<Vec<ColumnRange>>, SinkFailure> {
        let tail = self.footer(&self.path(key), bytes, None).await;
        let tail = tail.map_err(|error| SinkFailure::store(&format!("read {}", self.uri(key)), &error))?;
        Ok(column_ranges(&tail, column))
    }

    /// The end of an object of a size that holds its footer, if it is a Parquet file; of the version
    /// with a tag, where one is given.
    async fn footer(&self, path: &Path, size: u64, etag: Option<String>) -> Result<Bytes, Error> {
        let tail = self.tail(path, size, FOOTER_BYTES, etag.clone()).await?;
        match footer_length(&tail).map(|length| length as u64 + 8) {
            Some(length) if length > tail.len() as u64 && length <= size => self.tail(path, size, length, etag).await,
            _ => Ok(tail),
        }
    }

    async fn tail(&self, path: &Path, size: u64, bytes: u64, etag: Option<String>) -> Result<Bytes, Error> {
        let start = size.saturating_sub(bytes);
        if start == size {
            return Ok(Bytes::new());
        }
        let options = GetOptions { range: Some((start..size).into()), if_match: etag, ..GetOptions::default() };
        self.store.get_opts(path, options).await?.bytes().await
    }

    /// Replaces what `seen` says is there (nothing, where it is `None`) by a file.
    pub(super) async fn replace(
        &self,
        key: &str,
        staging: &str,
        file: &StagedFile,
        seen: Option<&ObjectState>,
    ) -> Result<Put, SinkFailure> {
        if let Some(root) = &self.local_root {
            return publish_file(
                root,
                key,
                staging,
                file.file.path(),
                seen.map(|seen| (seen.bytes, seen.etag.clone())),
            )
            .await;
        }
        if let Some(uploads) = self.uploads.as_ref().filter(|_| file.bytes > LARGEST_PUT)
            && self.takes_parts(staging).await?
        {
            let put = Box::pin(uploads.replace(&self.path(key), file.file.path(), file.bytes, seen)).await?;
            // Another client put it there: that it is in this lake is to be seen.
            return Ok(match put {
                Put::Published(_) => Put::Doubtful("it went up in parts".to_owned()),
                doubtful @ Put::Doubtful(_) => doubtful,
            });
        }
        self.refuse_more_than_one_put(key, file.bytes)?;
        let mode = match seen {
            None => PutMode::Create,
            Some(seen) => PutMode::Update(UpdateVersion { e_tag: seen.etag.clone(), version: seen.version.clone() }),
        };
        let content = pieces(&file.content()?);
        let class = self.storage_class.clone().map(|class| (Attribute::StorageClass, AttributeValue::from(class)));
        let options = PutOptions { mode, attributes: class.into_iter().collect(), ..PutOptions::default() };
        match self.store.put_opts(&self.path(key), content, options).await {
            Ok(result) => Ok(Put::Published(result.e_tag)),
            Err(error) => Ok(Put::Doubtful(error.to_string())),
        }
    }

    /// Refuses an object that is too large for how this lake is written. `staging` is where that may be tried.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Configuration`] where it is; where the store fails.
    pub(super) async fn refuse_too_large(&self, key: &str, bytes: u64, staging: &str) -> Result<(), SinkFailure> {
        if self.local_root.is_some() || bytes <= LARGEST_SINGLE_PUT || self.takes_parts(staging).await? {
            return Ok(());
        }
        self.refuse_more_than_one_put(key, bytes)
    }

    /// Whether large objects go up in parts.
    async fn takes_parts(&self, staging: &str) -> Result<bool, SinkFailure> {
        let Some(uploads) = &self.uploads else { return Ok(false) };
        // On the heap: the SDK's futures are deep.
        Box::pin(uploads.keep_conditions(&self.path(&format!("{staging}/{UPLOAD_PROBE}")))).await
    }

    fn refuse_more_than_one_put(&self, key: &str, bytes: u64) -> Result<(), SinkFailure> {
        if bytes <= LARGEST_SINGLE_PUT {
            return Ok(());
        }
        Err(SinkFailure::configuration(
            format!("publish {}: its {bytes} bytes are more than one put may have", self.uri(key)),
            "set `window = \"hour\"` in the report, so that its objects are smaller",
        ))
    }

    /// The SHA-256 of an object's content, in hex, without holding it.
    pub(super) async fn sha256(&self, key: &str) -> Result<String, SinkFailure> {
        use sha2::{Digest, Sha256};

        let failed = |error: Error| SinkFailure::store(&format!("read {}", self.uri(key)), &error);
        let mut chunks = self.store.get(&self.path(key)).await.map_err(failed)?.into_stream();
        let mut hash = Sha256::new();
        while let Some(chunk) = chunks.next().await {
            hash.update(&chunk.map_err(failed)?);
        }
        Ok(crate::parquet::hex(&hash.finalize()))
    }
}

/// A body in pieces, for what sends it may copy a piece whole.
fn pieces(content: &Bytes) -> PutPayload {
    let starts = (0..content.len()).step_by(BODY_PIECE_BYTES);
    starts.map(|start| content.slice(start..content.len().min(start + BODY_PIECE_BYTES))).collect()
}
