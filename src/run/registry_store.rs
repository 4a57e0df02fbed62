//! A tenant's registry where it is kept, in the lake or in a folder of the user's: immutable
//! versions, created where there is none, and the events beside them.

use cxlake_sinks::lake::{Lake, LakeLocation, READS_AT_ONCE, tenant_folder};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};

use super::preflight::{lake_location, tenant_settings};
use crate::registry::{REGISTRY_FORMAT, RegistryVersion};
use crate::settings::Settings;
use crate::vocabulary::{DriftEvent, Failure};

/// The format of event files.
const EVENT_FORMAT: &str = "cxlake.event/1";

/// The registry of one tenant.
#[derive(Clone, Debug)]
pub(super) struct RegistryStore {
    lake: Lake,
    /// Where in the lake; empty for a folder that holds nothing else.
    folder: String,
}

/// A drift event as it is kept, and as alerts get it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[schemars(title = "cxlake drift event")]
pub struct RecordedEvent {
    /// `cxlake.event/1`.
    pub format: String,
    /// When it was seen, RFC 3339 in UTC.
    pub at: String,
    /// The run that saw it.
    pub run_id: String,
    /// Whether the policy forbids it: then nothing was written but this.
    pub frozen: bool,
    /// What changed.
    #[serde(flatten)]
    pub event: DriftEvent,
}

impl RecordedEvent {
    /// The event as a run saw it.
    pub(super) fn new(event: DriftEvent, at: String, run_id: &str, frozen: bool) -> Self {
        Self { format: EVENT_FORMAT.to_owned(), at, run_id: run_id.to_owned(), frozen, event }
    }
}

impl RegistryStore {
    /// The registry of a tenant, in `lake` unless the tenant names another place.
    pub(super) fn open(settings: &Settings, tenant: &str, lake: &Lake) -> Result<Self, Failure> {
        match registry_location(settings, tenant)? {
            None => Ok(Self::in_lake(lake, tenant)),
            Some(location) => Ok(Self { lake: Lake::open(&location)?, folder: String::new() }),
        }
    }

    /// The same for a look: no folder is made for it.
    pub(super) fn open_to_read(settings: &Settings, tenant: &str, lake: &Lake) -> Result<Self, Failure> {
        match registry_location(settings, tenant)? {
            None => Ok(Self::in_lake(lake, tenant)),
            Some(location) => Ok(Self { lake: Lake::open_to_read(&location)?, folder: String::new() }),
        }
    }

    fn in_lake(lake: &Lake, tenant: &str) -> Self {
        Self { lake: lake.clone(), folder: format!("{}/registry", tenant_folder(tenant)) }
    }

    fn key(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }

    fn version_key(&self, version: u32) -> String {
        self.key(&format!("v{version:04}.json"))
    }

    /// The lake that holds it.
    pub(super) fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The numbers of all versions, oldest first.
    pub(super) async fn versions(&self) -> Result<Vec<u32>, Failure> {
        let listed = self.lake.files(&self.folder).await?;
        // Not under another spelling.
        let version = |key: &String| version_of(key).filter(|number| self.version_key(*number) == *key);
        let mut versions: Vec<u32> = listed.iter().filter_map(version).collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// All versions, oldest first.
    pub(super) async fn all(&self) -> Result<Vec<RegistryVersion>, Failure> {
        let mut all = Vec::new();
        for number in self.versions().await? {
            all.push(self.read(number).await?);
        }
        Ok(all)
    }

    /// The newest version; `None` where there is none yet.
    pub(super) async fn newest(&self) -> Result<Option<RegistryVersion>, Failure> {
        match self.versions().await?.last() {
            None => Ok(None),
            Some(newest) => self.read(*newest).await.map(Some),
        }
    }

    /// A version that is there.
    pub(super) async fn read(&self, number: u32) -> Result<RegistryVersion, Failure> {
        let key = self.version_key(number);
        let Some(content) = self.lake.get(&key).await? else {
            let known = self.versions().await?;
            return Err(Failure::configuration(format!("read the registry {}: there is none", self.lake.uri(&key)))
                .hint(match (known.first(), known.last()) {
                    (Some(first), Some(last)) => format!("the registry has the versions {first} to {last}"),
                    _ => "the registry is empty: `cxlake registry sync` makes its first version".to_owned(),
                }));
        };
        let unreadable = |reason: String| {
            Failure::configuration(format!("read the registry {}: {reason}", self.lake.uri(&key)))
                .hint("versions are immutable: restore the file as it was")
        };
        let version: RegistryVersion =
            serde_json::from_slice(&content).map_err(|error| unreadable(error.to_string()))?;
        if version.format != REGISTRY_FORMAT || version.version != number {
            return Err(unreadable(format!("it is {} version {}", version.format, version.version)));
        }
        Ok(version)
    }

    /// Writes a version; false where another run has made that number meanwhile.
    pub(super) async fn write(&self, version: &RegistryVersion) -> Result<bool, Failure> {
        Ok(self.lake.create(&self.version_key(version.version), json(version)?.into()).await?)
    }

    /// Writes events, one file each: what two runs see is never one file.
    pub(super) async fn write_events(&self, events: &[RecordedEvent]) -> Result<(), Failure> {
        let writes = events.iter().enumerate().map(|(number, event)| self.write_event(number, event));
        stream::iter(writes).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn write_event(&self, number: usize, event: &RecordedEvent) -> Result<(), Failure> {
        let at: String = event.at.chars().filter(|character| !matches!(character, '-' | ':' | '.')).collect();
        let name = format!("events/{at}-{}-{}-{number:04}.json", event.run_id, event.event.kind.name());
        self.lake.create(&self.key(&name), json(event)?.into()).await?;
        Ok(())
    }

    /// All events, oldest first.
    pub(super) async fn events(&self) -> Result<Vec<RecordedEvent>, Failure> {
        let listed = self.lake.list(&self.key("events")).await?;
        let reads = listed.into_iter().map(|(key, _)| self.read_event(key));
        stream::iter(reads).buffered(READS_AT_ONCE).try_collect().await
    }

    async fn read_event(&self, key: String) -> Result<RecordedEvent, Failure> {
        let content = self.lake.get(&key).await?.unwrap_or_default();
        serde_json::from_slice(&content).map_err(|error| {
            Failure::configuration(format!("read the event {}: {error}", self.lake.uri(&key)))
                .hint("restore the file as it was, or move it away")
        })
    }
}

/// Where a tenant's registry is, if not in the lake.
pub(super) fn registry_location(settings: &Settings, tenant: &str) -> Result<Option<LakeLocation>, Failure> {
    let url = tenant_settings(settings, tenant)?.registry_url.clone();
    Ok(url.map(|url| LakeLocation { url, ..lake_location(&settings.lake) }))
}

fn version_of(key: &str) -> Option<u32> {
    key.rsplit('/').next()?.strip_prefix('v')?.strip_suffix(".json")?.parse().ok()
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::defect(format!("write a file of the registry: {error}")))?;
    text.push(b'\n');
    Ok(text)
}
