//! Lakes on Azure Data Lake Storage and Blob Storage.

use std::sync::Arc;

use object_store::Error;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::path::Path;
use url::Url;

use super::location::{LakeLocation, Opened, client_options, retry_config};
use crate::failure::SinkFailure;

/// Credentials are those of the options or of the environment: an account key, a SAS, a client secret,
/// workload identity (a federated token's file), or the machine's managed identity.
pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let refused = |error: &Error| {
        location.refused(
            &error.to_string(),
            "[lake.options] holds object_store's own keys, for Azure: account_name, account_key, sas_token, client_id, …",
        )
    };
    let mut builder = MicrosoftAzureBuilder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config());
    for (name, value) in location.store_options() {
        let key: AzureConfigKey = name.parse().map_err(|error| refused(&error))?;
        builder = builder.with_config(key, value);
    }
    let prefix = Path::from_url_path(url.path()).map_err(|error| refused(&error.into()))?;
    let store = builder.build().map_err(|error| refused(&error))?;
    Ok(Opened { store: Arc::new(store), prefix, local_root: None, uploads: None })
}
