//! Where a lake is, and the store that its URL names.

use std::collections::BTreeMap;
use std::path::PathBuf;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use url::Url;

#[cfg(not(feature = "s3"))]
use super::no_uploads::Uploads;
#[cfg(feature = "s3")]
use super::s3_uploads::Uploads;
use crate::failure::SinkFailure;

/// A URL or path, and `object_store`'s options by their names.
#[derive(Clone, Debug)]
pub struct LakeLocation {
    /// `file://…`, `s3://…`, `gs://…`, `abfss://…`, `az://…`, or a path.
    pub url: String,
    /// Passed to `object_store`.
    pub options: BTreeMap<String, String>,
}

/// A store, and what is a lake's of it.
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Before every key.
    pub(super) prefix: Path,
    /// The folder, in a local one.
    pub(super) local_root: Option<PathBuf>,
    /// How large objects go up.
    pub(super) uploads: Option<Uploads>,
}

/// The schemes of stores that a build may have.
const STORES: [&str; 4] = ["s3", "gs", "abfss", "az"];
const STORES_HINT: &str = "use a path, file://, s3://, gs://, abfss:// or az://";

/// The one option that is ours: the storage class of S3 and GCS, or Azure's access tier, of the
/// objects of windows.
pub(super) const STORAGE_CLASS: &str = "storage_class";

fn no_store(scheme: &str) -> String {
    format!("there is no store for {scheme}://")
}

impl LakeLocation {
    /// The folder of a lake in one.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        match Url::parse(&self.url) {
            Ok(parsed) if parsed.scheme() == "file" => parsed.to_file_path().ok(),
            // A drive's letter is no scheme.
            Ok(parsed) if parsed.scheme().len() > 1 => None,
            _ => Some(PathBuf::from(&self.url)),
        }
    }

    /// A store's builder with the options that are the store's own; `hint` tells their names.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    pub(super) fn configured<Builder, Key: FromStr<Err = object_store::Error>>(
        &self,
        builder: Builder,
        hint: &str,
        with_config: impl Fn(Builder, Key, &str) -> Builder,
    ) -> Result<Builder, SinkFailure> {
        let mut options = self.options.iter().filter(|(name, _)| *name != STORAGE_CLASS);
        options.try_fold(builder, |builder, (name, value)| {
            let key = name.parse().map_err(|error: object_store::Error| self.refused(&error.to_string(), hint))?;
            Ok(with_config(builder, key, value))
        })
    }

    /// A lake below a URL's path in a store.
    #[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
    pub(super) fn opened(
        &self,
        store: Result<impl ObjectStore, object_store::Error>,
        url: &Url,
        uploads: Option<Uploads>,
        hint: &str,
    ) -> Result<Opened, SinkFailure> {
        let store = store.map_err(|error| self.refused(&error.to_string(), hint))?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| self.refused(&error.to_string(), hint))?;
        Ok(Opened { store: Arc::new(store), prefix, local_root: None, uploads })
    }

    pub(super) fn open(&self) -> Result<Opened, SinkFailure> {
        if let Some(folder) = self.folder() {
            return self.open_folder(&folder);
        }
        let url = Url::parse(&self.url).map_err(|error| self.refused(&error.to_string(), "write file:///PATH"))?;
        match url.scheme() {
            "file" => Err(self.refused("no path", "write file:///PATH")),
            #[cfg(feature = "s3")]
            "s3" => super::s3::open(self, &url),
            #[cfg(not(feature = "s3"))]
            "s3" => Err(self.refused("this build has no S3", "build with the feature s3")),
            #[cfg(feature = "gcs")]
            "gs" => super::gcs::open(self, &url),
            #[cfg(not(feature = "gcs"))]
            "gs" => Err(self.refused("this build has no GCS", "build with the feature gcs")),
            #[cfg(feature = "azure")]
            "abfss" | "az" => super::azure::open(self, &url),
            #[cfg(not(feature = "azure"))]
            "abfss" | "az" => Err(self.refused("this build has no Azure", "build with the feature azure")),
            scheme => Err(self.refused(&no_store(scheme), STORES_HINT)),
        }
    }

    /// Whether its URL names a folder in a kind of store. Nothing is opened.
    ///
    /// # Errors
    /// [`crate::failure::SinkFailureKind::Configuration`] where it does not.
    pub fn known_store(&self) -> Result<(), SinkFailure> {
        let refuse = |reason: String, hint: &str| Err(SinkFailure::configuration(reason, hint));
        let text = self.url.as_str();
        let url = Url::parse(text).ok().filter(|url| url.scheme().len() > 1);
        let Some(url) = url else {
            return match text {
                "" => refuse("it is empty".to_owned(), STORES_HINT),
                _ if text.starts_with("~/") || text.starts_with('$') => {
                    refuse(format!("\"{text}\" is taken as it is written"), "write the whole path")
                }
                _ => Ok(()),
            };
        };
        let scheme = url.scheme();
        if scheme != "file" && !STORES.contains(&scheme) {
            return refuse(no_store(scheme), STORES_HINT);
        }
        // Of a path that is not read as it is written, others would make another one.
        if !text.contains("://") || url.query().is_some() || url.fragment().is_some() {
            return refuse(format!("\"{text}\" is no URL of a folder"), STORES_HINT);
        }
        if scheme != "file" && text.contains('%') {
            return refuse(format!("\"{text}\" has an escape"), "write the folder's name as it is");
        }
        Ok(())
    }

    pub(super) fn refused(&self, reason: &str, hint: &str) -> SinkFailure {
        SinkFailure::configuration(format!("open the lake {}: {reason}", self.url), hint)
    }

    fn open_folder(&self, folder: &std::path::Path) -> Result<Opened, SinkFailure> {
        let unusable = |error: &dyn std::fmt::Display| {
            SinkFailure::unavailable(
                format!("open the lake {}: {error}", self.url),
                "name a folder that this user may create and write to",
            )
        };
        std::fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
        let root = folder.canonicalize().map_err(|error| unusable(&error))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| unusable(&error))?.with_fsync(true);
        Ok(Opened { store: Arc::new(store), prefix: Path::default(), local_root: Some(root), uploads: None })
    }
}
