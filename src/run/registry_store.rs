//! A tenant's registry versions in the lake: immutable, created where there is none.

use cxlake_sinks::lake::{Lake, tenant_folder};

use crate::registry::{REGISTRY_FORMAT, RegistryVersion};
use crate::vocabulary::Failure;

fn folder(tenant: &str) -> String {
    format!("{}/registry", tenant_folder(tenant))
}

fn key(tenant: &str, version: u32) -> String {
    format!("{}/v{version:04}.json", folder(tenant))
}

fn version_of(key: &str) -> Option<u32> {
    key.rsplit('/').next()?.strip_prefix('v')?.strip_suffix(".json")?.parse().ok()
}

/// The newest version; `None` where there is none yet.
pub(super) async fn newest(lake: &Lake, tenant: &str) -> Result<Option<RegistryVersion>, Failure> {
    let keys = lake.list(&folder(tenant)).await?;
    let Some(newest) = keys.iter().filter_map(|(key, _)| version_of(key)).max() else { return Ok(None) };
    let key = key(tenant, newest);
    let content = lake.get(&key).await?.unwrap_or_default();
    let unreadable = |reason: String| {
        Failure::configuration(format!("read the registry {}: {reason}", lake.uri(&key)))
            .hint("versions are immutable: restore the file as it was")
    };
    let version: RegistryVersion = serde_json::from_slice(&content).map_err(|error| unreadable(error.to_string()))?;
    if version.format != REGISTRY_FORMAT || version.version != newest {
        return Err(unreadable(format!("it is {} version {}", version.format, version.version)));
    }
    Ok(Some(version))
}

/// Writes a version; false where another run has made that number meanwhile.
pub(super) async fn write(lake: &Lake, tenant: &str, version: &RegistryVersion) -> Result<bool, Failure> {
    let mut text = serde_json::to_vec_pretty(version)
        .map_err(|error| Failure::defect(format!("write a registry version: {error}")))?;
    text.push(b'\n');
    Ok(lake.create(&key(tenant, version.version), text.into()).await?)
}
