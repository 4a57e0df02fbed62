//! Large objects on S3: in parts, put together on a condition, which `object_store` cannot.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::future::ProvideCredentials as Provided;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Config, IdentityCache, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, RequestPayer, ServerSideEncryption, StorageClass};
use chrono::{DateTime, Utc};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredentialProvider};
use object_store::path::Path;
use tokio::sync::OnceCell;

use super::store::{ObjectState, Put};
use crate::failure::SinkFailure;

/// Parts grow with the object, for S3 takes 10,000 of them.
const PART_BYTES: u64 = 16 << 20;
const MOST_PARTS: u64 = 9_000;

/// The longest single request: a part, or putting all of them together.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);
/// A tag that no object has.
const NOBODYS_TAG: &str = "\"0123456789abcdef0123456789abcdef\"";

/// A bucket that takes objects in parts.
#[derive(Clone, Debug)]
pub(super) struct Uploads {
    client: Client,
    /// Whether the store puts parts together on a condition, once that is known.
    keeps_conditions: Arc<OnceCell<bool>>,
    bucket: String,
    encryption: Encryption,
    storage_class: Option<StorageClass>,
    requester_pays: bool,
}

/// As `object_store`'s own options say.
#[derive(Clone, Debug, Default)]
struct Encryption {
    kind: Option<ServerSideEncryption>,
    kms_key: Option<String>,
    bucket_key: Option<bool>,
}

/// The credentials of `object_store`, which refreshes them.
#[derive(Debug)]
struct Shared(AwsCredentialProvider);

impl ProvideCredentials for Shared {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(async {
            let found = self.0.get_credential().await.map_err(CredentialsError::provider_error)?;
            Ok(Credentials::new(&found.key_id, &found.secret_key, found.token.clone(), None, "object_store"))
        })
    }
}

impl Uploads {
    /// For the bucket, with the settings and credentials of a store.
    pub(super) fn new(
        builder: &AmazonS3Builder,
        credentials: &AwsCredentialProvider,
        bucket: &str,
        storage_class: Option<&str>,
    ) -> Self {
        let value = |key: &str| builder.get_config_value(&key.parse::<AmazonS3ConfigKey>().ok()?);
        let is_on = |key: &str| value(key).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "yes" | "on"));
        let region = value("aws_region").or_else(|| value("aws_default_region"));
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.unwrap_or_else(|| "us-east-1".to_owned())))
            .credentials_provider(Shared(Arc::clone(credentials)))
            // They are cached where they come from.
            .identity_cache(IdentityCache::no_cache())
            // What speaks S3's protocol need not know its newest checksums.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build())
            .force_path_style(!is_on("aws_virtual_hosted_style_request"));
        // In the order of `object_store`: all objects must go to one store.
        if let Some(endpoint) = value("aws_endpoint_url_s3").or_else(|| value("aws_endpoint")) {
            config = config.endpoint_url(without_bucket(&endpoint, bucket));
        }
        let encryption = Encryption {
            kind: value("aws_server_side_encryption").map(|kind| ServerSideEncryption::from(kind.as_str())),
            kms_key: value("aws_sse_kms_key_id"),
            bucket_key: value("aws_sse_bucket_key_enabled").map(|_| is_on("aws_sse_bucket_key_enabled")),
        };
        Self {
            client: Client::from_conf(config.build()),
            keeps_conditions: Arc::default(),
            bucket: bucket.to_owned(),
            encryption,
            storage_class: storage_class.map(StorageClass::from),
            requester_pays: is_on("aws_request_payer"),
        }
    }

    /// Whether the store puts parts together on a condition: some that keep the conditions of a put
    /// ignore those, or do not know them. Proved once with an object at `key`, which stays.
    pub(super) async fn keep_conditions(&self, key: &Path) -> Result<bool, SinkFailure> {
        let proved = self.keeps_conditions.get_or_try_init(|| self.prove(key)).await;
        let failed = |reason| {
            SinkFailure::unavailable(
                format!("write an object in parts at {key}: {reason}"),
                "check that this user may write there: `cxlake check`",
            )
        };
        proved.copied().map_err(failed)
    }

    async fn prove(&self, key: &Path) -> Result<bool, String> {
        let put = self.client.put_object().bucket(&self.bucket).key(key.as_ref());
        let put = put
            .set_server_side_encryption(self.encryption.kind.clone())
            .set_ssekms_key_id(self.encryption.kms_key.clone())
            .set_bucket_key_enabled(self.encryption.bucket_key)
            .set_request_payer(self.payer())
            .body(ByteStream::from_static(b"first"));
        put.send().await.map_err(|error| words(&error))?;
        for condition in [Condition::Absent, Condition::Tagged(Some(NOBODYS_TAG.to_owned()))] {
            let upload = self.begin(key).await?;
            let part = self.put_part(key, &upload, 1, ByteStream::from_static(b"second")).await?;
            let completed = self.complete(key, &upload, vec![part], condition).await;
            let keeps_condition = completed.as_ref().is_err_and(|error| error.is_refusal);
            match completed {
                Err(error) if error.is_refusal || error.is_not_implemented => self.abort(key, &upload).await,
                Err(error) => return Err(error.reason),
                Ok(_) => {}
            }
            if !keeps_condition {
                tracing::warn!(
                    bucket = self.bucket,
                    "the store keeps no conditions of uploads in parts: large objects go up in one put"
                );
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Replaces what `seen` says is there by a file. Nothing is visible before the last step, which
    /// has the condition.
    pub(super) async fn replace(
        &self,
        key: &Path,
        file: &std::path::Path,
        bytes: u64,
        seen: Option<&ObjectState>,
    ) -> Result<Put, SinkFailure> {
        let upload = match self.begin(key).await {
            Ok(upload) => upload,
            Err(reason) => return Ok(Put::Doubtful(reason)),
        };
        let parts = match self.put_parts(key, &upload, file, bytes).await {
            Ok(parts) => parts,
            Err(reason) => {
                self.abort(key, &upload).await;
                return Ok(Put::Doubtful(reason));
            }
        };
        let condition = seen.map_or(Condition::Absent, |seen| Condition::Tagged(seen.etag.clone()));
        match self.complete(key, &upload, parts, condition).await {
            Ok(etag) => Ok(Put::Published(etag)),
            Err(error) => {
                // Only where the store says that it did nothing; else the parts may be becoming the object.
                if error.is_refusal {
                    self.abort(key, &upload).await;
                }
                Ok(Put::Doubtful(error.reason))
            }
        }
    }

    async fn complete(
        &self,
        key: &Path,
        upload: &str,
        parts: Vec<CompletedPart>,
        condition: Condition,
    ) -> Result<Option<String>, Incomplete> {
        let complete = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_ref())
            .upload_id(upload)
            .set_request_payer(self.payer())
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build());
        let complete = match condition {
            Condition::Absent => complete.if_none_match("*"),
            Condition::Tagged(etag) => complete.set_if_match(etag),
        };
        let completed = complete.send().await.map_err(|error| Incomplete {
            is_refusal: matches!(error.code(), Some("PreconditionFailed" | "ConditionalRequestConflict")),
            is_not_implemented: error.code() == Some("NotImplemented"),
            reason: words(&error),
        })?;
        Ok(completed.e_tag)
    }

    async fn begin(&self, key: &Path) -> Result<String, String> {
        let create = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key.as_ref())
            .set_server_side_encryption(self.encryption.kind.clone())
            .set_ssekms_key_id(self.encryption.kms_key.clone())
            .set_bucket_key_enabled(self.encryption.bucket_key)
            .set_storage_class(self.storage_class.clone())
            .set_request_payer(self.payer());
        let created = create.send().await.map_err(|error| words(&error))?;
        created.upload_id.ok_or_else(|| "the store names no upload".to_owned())
    }

    async fn put_parts(
        &self,
        key: &Path,
        upload: &str,
        file: &std::path::Path,
        bytes: u64,
    ) -> Result<Vec<CompletedPart>, String> {
        let part_bytes = PART_BYTES.max(bytes.div_ceil(MOST_PARTS));
        let mut parts = Vec::new();
        let mut offset = 0;
        for number in 1.. {
            let length = part_bytes.min(bytes - offset);
            let body = ByteStream::read_from().path(file).offset(offset).length(Length::Exact(length)).build().await;
            let body = body.map_err(|error| error.to_string())?;
            parts.push(self.put_part(key, upload, number, body).await?);
            offset += length;
            if offset == bytes {
                break;
            }
        }
        Ok(parts)
    }

    async fn put_part(&self, key: &Path, upload: &str, number: i32, body: ByteStream) -> Result<CompletedPart, String> {
        let put = self.client.upload_part().bucket(&self.bucket).key(key.as_ref()).upload_id(upload);
        let put = put.part_number(number).set_request_payer(self.payer()).body(body);
        let put = put.send().await.map_err(|error| words(&error))?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(put.e_tag).build())
    }

    /// Best effort: what remains costs storage until the bucket's lifecycle rule removes it.
    async fn abort(&self, key: &Path, upload: &str) {
        if let Err(error) = self.remove(key, upload).await {
            tracing::warn!(key = key.as_ref(), error, "an upload was not aborted");
        }
    }

    /// Uploads below a path that were begun and not ended: the object's path, the upload's id, and when.
    pub(super) async fn unfinished(&self, below: &Path) -> Result<Vec<(Path, String, DateTime<Utc>)>, SinkFailure> {
        let mut found = Vec::new();
        let mut after: (Option<String>, Option<String>) = (None, None);
        loop {
            let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(format!("{below}/"));
            let list = list.set_key_marker(after.0).set_upload_id_marker(after.1).set_request_payer(self.payer());
            let listed = list.send().await.map_err(|error| {
                let doing = format!("list the uploads below {below}: {}", words(&error));
                SinkFailure::unavailable(doing, "vacuum needs the right to list uploads")
            })?;
            found.extend(listed.uploads.into_iter().flatten().filter_map(|upload| {
                let begun = upload.initiated.and_then(|begun| DateTime::from_timestamp(begun.secs(), 0))?;
                Some((Path::parse(upload.key?).ok()?, upload.upload_id?, begun))
            }));
            after = (listed.next_key_marker, listed.next_upload_id_marker);
            if listed.is_truncated != Some(true) || after.0.is_none() {
                return Ok(found);
            }
        }
    }

    /// Ends an upload whose parts nobody will put together.
    pub(super) async fn remove(&self, key: &Path, upload: &str) -> Result<(), String> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key.as_ref()).upload_id(upload);
        match abort.set_request_payer(self.payer()).send().await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchUpload") => Ok(()),
            Err(error) => Err(words(&error)),
        }
    }

    fn payer(&self) -> Option<RequestPayer> {
        self.requester_pays.then_some(RequestPayer::Requester)
    }
}

/// What must hold where parts become an object.
enum Condition {
    /// Nothing is there.
    Absent,
    /// What is there has this tag.
    Tagged(Option<String>),
}

/// Why parts did not become an object.
struct Incomplete {
    /// Whether the store says that the condition does not hold, and so did nothing.
    is_refusal: bool,
    /// Whether the store says that it knows no such condition.
    is_not_implemented: bool,
    reason: String,
}

/// `object_store` has the bucket in the host of an endpoint of that style; the SDK puts it there.
fn without_bucket(endpoint: &str, bucket: &str) -> String {
    endpoint.replacen(&format!("://{bucket}."), "://", 1)
}

fn words<E: std::error::Error + 'static>(error: &SdkError<E>) -> String {
    DisplayErrorContext(error).to_string()
}
