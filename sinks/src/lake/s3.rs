//! Lakes on S3 and on stores that speak its protocol.

use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use url::Url;

use super::aws_credentials::{DefaultCredentials, default_region};
use super::location::{LakeLocation, Opened, STORAGE_CLASS};
use super::s3_uploads::Uploads;
use super::store_requests::{TimeBySize, client_options, retry_config};
use crate::failure::SinkFailure;

const HINT: &str =
    "[lake.options] holds object_store's own keys, for S3: region, endpoint, allow_http, access_key_id, …";

/// Credentials are those of the options; without any, those that the AWS tools find.
pub(super) fn open(location: &LakeLocation, url: &Url) -> Result<Opened, SinkFailure> {
    let builder = AmazonS3Builder::from_env()
        .with_url(url.as_str())
        .with_client_options(client_options())
        .with_retry(retry_config())
        .with_http_connector(TimeBySize::default());
    let with_config = |builder: AmazonS3Builder, key: AmazonS3ConfigKey, value: &str| builder.with_config(key, value);
    let mut builder = location.configured(builder, HINT, with_config)?;
    let given = |names: [&str; 2]| names.iter().any(|name| location.options.contains_key(*name));
    if !given(["access_key_id", "aws_access_key_id"]) && !given(["skip_signature", "aws_skip_signature"]) {
        builder = builder.with_credentials(Arc::new(DefaultCredentials::default()));
        let region = ["aws_region", "aws_default_region"].map(|key| builder.get_config_value(&key.parse().ok()?));
        if region.iter().all(Option::is_none)
            && let Some(region) = default_region()
        {
            builder = builder.with_region(region);
        }
    }
    let store = builder.clone().build();
    let storage_class = location.options.get(STORAGE_CLASS).map(String::as_str);
    let bucket = url.host_str().unwrap_or_default();
    // A customer's own key would have to go with every part.
    let own_key = "aws_sse_customer_key_base64".parse().ok().and_then(|key| builder.get_config_value(&key));
    let credentials = store.as_ref().ok().map(AmazonS3::credentials).filter(|_| own_key.is_none());
    let uploads = credentials.map(|credentials| Uploads::new(&builder, credentials, bucket, storage_class));
    location.opened(store, url, uploads, HINT)
}
