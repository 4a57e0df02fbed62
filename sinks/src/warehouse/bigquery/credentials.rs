//! Who calls BigQuery.

use gcp_bigquery_client::Client;
use gcp_bigquery_client::client_builder::ClientBuilder;
use gcp_bigquery_client::yup_oauth2::{ServiceAccountKey, parse_service_account_key};

use crate::failure::SinkFailure;
use crate::warehouse::BigQueryLocation;

/// Loads read the bucket with the caller's rights, so that BigQuery's own scope is too narrow
/// ("Authorize API requests", jobs.insert).
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Signs in with a service account's key, or with application default credentials: the file that
/// `GOOGLE_APPLICATION_CREDENTIALS` names, gcloud's own, or the machine's service account.
pub(super) async fn sign_in(location: &BigQueryLocation) -> Result<Client, SinkFailure> {
    // Two libraries of one process bring two implementations of TLS's cryptography, and neither may
    // be left to guess. Whoever was first has chosen.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut builder = ClientBuilder::new();
    builder.with_auth_base_url(SCOPE.to_owned());
    if let Some(endpoint) = &location.endpoint {
        builder.with_v2_base_url(format!("{endpoint}/bigquery/v2"));
    }
    let signed_in = match &location.credentials {
        Some(key) => builder.build_from_service_account_key(service_account(key)?, false).await,
        None => builder.build_from_application_default_credentials().await,
    };
    signed_in.map_err(|error| {
        SinkFailure::load(
            format!("sign in to BigQuery: {error}"),
            "name a service account's key in the warehouse's credentials, or set GOOGLE_APPLICATION_CREDENTIALS; then \
             `cxlake load`",
        )
    })
}

fn service_account(key: &str) -> Result<ServiceAccountKey, SinkFailure> {
    // What is wrong with it is not told: it is a secret.
    parse_service_account_key(key).map_err(|_| {
        SinkFailure::configuration(
            "read the warehouse's credentials: they are no service account's key",
            "download a key of the service account as JSON, and name its file: credentials = { file = \"…\" }",
        )
    })
}
