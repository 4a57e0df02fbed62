//! Lakes on Azure Data Lake Storage and Blob Storage.

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use url::Url;

use super::location::{LakeLocation, Opened};
use super::store_requests::{TimeBySize, client_options, retry_config};
use crate::failure::SinkFailure;

const HINT: &str =
    "[lake.options] holds object_store's own keys, for Azure: account_name, account_key, sas_token, client_id, …";

/// Credentials are those of the options or of the environment: an account key, a SAS, a client secret,
/// workload identity (a federated token's file), or the machine's managed identity.
pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let builder = MicrosoftAzureBuilder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config())
        .with_http_connector(TimeBySize::default());
    let with_config =
        |builder: MicrosoftAzureBuilder, key: AzureConfigKey, value: &str| builder.with_config(key, value);
    let mut builder = location.configured(builder, HINT, with_config)?;
    // Kubernetes names it with a slash at its end, and what is asked for follows another.
    if let Some(authority) = builder.get_config_value(&AzureConfigKey::AuthorityHost) {
        builder = builder.with_authority_host(authority.trim_end_matches('/'));
    }
    location.opened(builder.build(), url, None, HINT)
}
