//! AWS credentials as the AWS tools find them: environment, profiles, SSO, role chains, web identity,
//! ECS and EC2. `object_store` knows only some of these.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::BehaviorVersion;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_s3::error::DisplayErrorContext;
use object_store::aws::AwsCredential;
use object_store::{CredentialProvider, Error, Result};
use tokio::sync::{Mutex, OnceCell};

/// Credentials are fetched anew this long before they run out, so that no request is on its way with
/// them then.
const MARGIN: Duration = Duration::from_secs(300);

/// The default chain, asked once for as long as its answer lasts: it does not remember what it found.
#[derive(Debug, Default)]
pub(super) struct DefaultCredentials {
    chain: OnceCell<Option<SharedCredentialsProvider>>,
    found: Mutex<Option<(Arc<AwsCredential>, Option<SystemTime>)>>,
}

#[async_trait]
impl CredentialProvider for DefaultCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>> {
        let mut found = self.found.lock().await;
        if let Some((credential, expiry)) = &*found
            && expiry.is_none_or(lasts)
        {
            return Ok(Arc::clone(credential));
        }
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "AWS", source };
        let chain = self.chain.get_or_init(|| async {
            aws_config::defaults(BehaviorVersion::latest()).load().await.credentials_provider()
        });
        let chain = chain.await.as_ref().ok_or_else(|| failed("there is no chain of credentials".into()))?;
        let fresh = chain.provide_credentials().await;
        let fresh =
            fresh.map_err(|error| failed(format!("no AWS credentials: {}", DisplayErrorContext(&error)).into()))?;
        let credential = Arc::new(AwsCredential {
            key_id: fresh.access_key_id().to_owned(),
            secret_key: fresh.secret_access_key().to_owned(),
            token: fresh.session_token().map(str::to_owned),
        });
        *found = Some((Arc::clone(&credential), fresh.expiry()));
        Ok(credential)
    }
}

/// Whether there is more than the margin until then.
fn lasts(expiry: SystemTime) -> bool {
    expiry.elapsed().is_err_and(|ahead| ahead.duration() > MARGIN)
}

/// The region of the environment, of the profile, or of the machine.
pub(super) fn default_region() -> Option<String> {
    // A lake is opened outside of the runtime's tasks and inside: a thread of its own is neither.
    let look = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let region = async { aws_config::meta::region::RegionProviderChain::default_provider().region().await };
        runtime.block_on(region).map(|region| region.to_string())
    };
    std::thread::spawn(look).join().ok().flatten()
}
