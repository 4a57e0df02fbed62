//! Lakes on Google Cloud Storage.

use std::sync::Arc;

use object_store::Error;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path;
use url::Url;

use super::location::{LakeLocation, Opened, client_options, retry_config};
use crate::failure::SinkFailure;

/// Credentials are those of the options, of the environment, application default credentials, or the
/// machine's own (workload identity).
pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let refused = |error: &Error| {
        location.refused(
            &error.to_string(),
            "[lake.options] holds object_store's own keys, for GCS: service_account_path, service_account_key, …",
        )
    };
    let mut builder = GoogleCloudStorageBuilder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config());
    for (name, value) in location.store_options() {
        let key: GoogleConfigKey = name.parse().map_err(|error| refused(&error))?;
        builder = builder.with_config(key, value);
    }
    let prefix = Path::from_url_path(url.path()).map_err(|error| refused(&error.into()))?;
    let store = builder.build().map_err(|error| refused(&error))?;
    Ok(Opened { store: Arc::new(store), prefix, local_root: None, uploads: None })
}
