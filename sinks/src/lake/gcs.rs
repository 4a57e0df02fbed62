//! Lakes on Google Cloud Storage.

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use url::Url;

use super::location::{LakeLocation, Opened};
use super::store_requests::{TimeBySize, client_options, retry_config};
use crate::failure::SinkFailure;

const HINT: &str =
    "[lake.options] holds object_store's own keys, for GCS: service_account_path, service_account_key, …";

/// Credentials are those of the options, of the environment, application default credentials, or the
/// machine's own (workload identity).
pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let builder = GoogleCloudStorageBuilder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config())
        .with_http_connector(TimeBySize::default());
    let with_config =
        |builder: GoogleCloudStorageBuilder, key: GoogleConfigKey, value: &str| builder.with_config(key, value);
    location.opened(location.configured(builder, HINT, with_config)?.build(), url, None, HINT)
}
