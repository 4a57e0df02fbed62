//! A store that writes down every put, and fails as a script says.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What happens to one put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It fails, and nothing is there.
    FailsBefore,
    /// It is there, and the answer is lost.
    AnswerIsLost,
    /// It is there, the answer was lost, and the client's own second try found it there.
    FoundByItsOwnRetry,
    /// 409: it fails as if something were there, and nothing is.
    ConflictWithNothing,
}

/// A store in memory under a script.
#[derive(Debug)]
pub(super) struct ScriptedStore {
    inner: InMemory,
    puts: Mutex<Vec<String>>,
    trouble: Option<(usize, Trouble)>,
    ignores_conditions: bool,
}

impl ScriptedStore {
    pub(super) fn new(trouble: Option<(usize, Trouble)>) -> Arc<Self> {
        Arc::new(Self { inner: InMemory::new(), puts: Mutex::default(), trouble, ignores_conditions: false })
    }

    /// A store that answers 200 to every put, as one real server does.
    pub(super) fn that_ignores_conditions() -> Arc<Self> {
        Arc::new(Self { inner: InMemory::new(), puts: Mutex::default(), trouble: None, ignores_conditions: true })
    }

    /// The keys of all puts so far, in order.
    pub(super) fn puts(&self) -> Vec<String> {
        self.puts.lock().unwrap().clone()
    }
}

impl fmt::Display for ScriptedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("scripted store")
    }
}

#[async_trait]
impl ObjectStore for ScriptedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let number = {
            let mut puts = self.puts.lock().unwrap();
            puts.push(location.to_string());
            puts.len() - 1
        };
        if self.ignores_conditions {
            options.mode = PutMode::Overwrite;
        }
        let generic = |what: &str| Error::Generic { store: "scripted", source: what.to_owned().into() };
        let exists = || Error::AlreadyExists { path: location.to_string(), source: "409".into() };
        match self.trouble.filter(|(at, _)| *at == number).map(|(_, trouble)| trouble) {
            None => self.inner.put_opts(location, payload, options).await,
            Some(Trouble::FailsBefore) => Err(generic("503")),
            Some(Trouble::ConflictWithNothing) => Err(exists()),
            Some(Trouble::AnswerIsLost) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(generic("timed out"))
            }
            Some(Trouble::FoundByItsOwnRetry) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(exists())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
