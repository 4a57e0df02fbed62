//! Who the tenant is, and what it has left.

use chrono_tz::Tz;
use serde::Deserialize;

use super::address::{Call, PERMISSIONS};
use super::answer::{Setback, describe};
use super::client::Client;
use crate::vocabulary::Failure;

/// The tenant, as `/api/v2/users/me` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its reporting time zone.
    pub time_zone: Tz,
    /// Permissions of the guide that the client does not list.
    pub missing_permissions: Vec<&'static str>,
}

/// What is left of the tenant's quota.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    /// Calls in a period.
    pub limit: u64,
    /// Calls left.
    pub remaining: u64,
    /// When the period ends, as the tenant writes it.
    pub reset_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsersMe {
    #[serde(default)]
    tenant_id: Option<String>,
    time_zone: String,
    #[serde(default)]
    permissions: Option<Vec<String>>,
}

impl Client {
    /// Reads the tenant's time zone and permissions, and makes sure that it is the tenant of the
    /// token: a wrong region can answer with another's, or empty, data.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Access`] for another tenant,
    /// [`crate::vocabulary::FailureKind::Configuration`] for a zone that is no IANA name.
    pub async fn tenant(&self) -> Result<Tenant, Failure> {
        let me: UsersMe = self
            .call(
                Call::UsersMe,
                |client, url| client.get(url),
                |answer| {
                    serde_json::from_slice(&answer.body)
                        .map_err(|_| Setback::passing(format!("{}: not the JSON it should be", describe(&answer))))
                },
            )
            .await?;
        let in_token = self.token_tenant_id().await?;
        if let (Some(in_token), Some(here)) = (&in_token, &me.tenant_id)
            && in_token != here
        {
            return Err(Failure::access(format!(
                "trust the data plane: it says tenant {here:?}, the token says {in_token:?}"
            ))
            .hint("the region's URL in [tenants.….regions] belongs to another tenant or region"));
        }
        let time_zone = me.time_zone.parse().map_err(|_| {
            Failure::configuration(format!("read the tenant's time zone: {:?} is no IANA name", me.time_zone))
                .hint("the administrator sets the tenant's reporting time zone")
        })?;
        let listed = me.permissions.unwrap_or_else(|| PERMISSIONS.map(str::to_owned).to_vec());
        let missing = PERMISSIONS.into_iter().filter(|permission| !listed.iter().any(|name| name == permission));
        Ok(Tenant { time_zone, missing_permissions: missing.collect() })
    }

    /// Reads the quota; `None` where the tenant has none, or does not say: a run carries on without.
    pub async fn quota(&self) -> Option<Quota> {
        let answer = self
            .call(
                Call::Quota,
                |client, url| client.get(url),
                |answer| Ok(serde_json::from_slice::<Quota>(&answer.body).ok()),
            )
            .await;
        answer.unwrap_or_else(|failure| {
            tracing::debug!(%failure, "no quota");
            None
        })
    }
}
