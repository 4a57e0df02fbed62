//! Lakes on S3 and on stores that speak its protocol.

use std::sync::Arc;

use object_store::Error;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use url::Url;

use super::location::{LakeLocation, Opened, client_options, retry_config};
use super::s3_uploads::Uploads;
use crate::failure::SinkFailure;

pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let refused = |error: &Error| {
        location.refused(
            &error.to_string(),
            "[lake.options] holds object_store's own keys, for S3: region, endpoint, allow_http, access_key_id, …",
        )
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config());
    for (name, value) in &location.options {
        let key: AmazonS3ConfigKey = name.parse().map_err(|error| refused(&error))?;
        builder = builder.with_config(key, value);
    }
    let prefix = Path::from_url_path(url.path()).map_err(|error| refused(&error.into()))?;
    let store = builder.clone().build().map_err(|error| refused(&error))?;
    let uploads = Uploads::new(&builder, store.credentials(), url.host_str().unwrap_or_default());
    Ok(Opened { store: Arc::new(store), prefix, local_root: None, uploads: Some(uploads) })
}
