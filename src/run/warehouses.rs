//! The warehouses of a process: opened once each, and told where the process is interrupted.

use std::collections::BTreeMap;
use std::sync::Arc;

use cxlake_sinks::warehouse::{
    BigQueryLocation, LoadMode, Loader, SnowflakeCredentials, SnowflakeLocation, Warehouse, WarehouseLocation,
};
use tokio::sync::Mutex;

use super::Environment;
use crate::settings::warehouse_file::Mode;
use crate::settings::{NeededSecret, Settings, SnowflakeSecret, WarehouseKind, WarehouseSettings};
use crate::vocabulary::Failure;

/// Open warehouses by name.
#[derive(Clone, Default)]
pub struct OpenWarehouses(Arc<Mutex<BTreeMap<String, Arc<dyn Warehouse>>>>);

impl OpenWarehouses {
    pub(super) async fn get(
        &self,
        settings: &Settings,
        name: &str,
        environment: &Environment,
    ) -> Result<Arc<dyn Warehouse>, Failure> {
        let mut open = self.0.lock().await;
        if let Some(warehouse) = open.get(name) {
            return Ok(Arc::clone(warehouse));
        }
        let warehouse = settings.warehouses.get(name);
        let warehouse =
            warehouse.ok_or_else(|| Failure::defect(format!("find the settings of the warehouse {name}")))?;
        let clock = Arc::clone(&environment.surroundings.clock);
        let loader = Loader {
            lake_url: settings.lake.url.trim_end_matches('/').to_owned(),
            run_id: environment.run_id.clone(),
            now: Arc::new(move || clock.now()),
        };
        let opened: Arc<dyn Warehouse> = Arc::from(location(warehouse)?.open(&loader).await?);
        open.insert(name.to_owned(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Ends what warehouses still do for this process.
    pub async fn cancel(&self) {
        let open: Vec<Arc<dyn Warehouse>> = self.0.lock().await.values().cloned().collect();
        for warehouse in open {
            warehouse.cancel().await;
        }
    }
}

fn location(settings: &WarehouseSettings) -> Result<WarehouseLocation, Failure> {
    let text = |secret: &NeededSecret| secret.clone().map(|secret| secret.reveal().to_owned());
    Ok(match &settings.kind {
        WarehouseKind::BigQuery { file, credentials } => WarehouseLocation::BigQuery(BigQueryLocation {
            project: file.project.clone(),
            dataset: file.dataset.clone(),
            location: file.location.clone(),
            credentials: credentials.as_ref().map(text).transpose()?,
            endpoint: file.endpoint.clone(),
            mode: match file.mode {
                Mode::Replace => LoadMode::Replace,
                Mode::Merge => LoadMode::Merge,
            },
        }),
        WarehouseKind::Snowflake { file, credentials } => WarehouseLocation::Snowflake(SnowflakeLocation {
            account: file.account.clone(),
            user: file.user.clone(),
            credentials: match credentials {
                SnowflakeSecret::PrivateKey(key) => SnowflakeCredentials::PrivateKey(text(key)?),
                SnowflakeSecret::AccessToken(token) => SnowflakeCredentials::AccessToken(text(token)?),
            },
            database: file.database.clone(),
            schema: file.schema.clone(),
            warehouse: file.warehouse.clone(),
            role: file.role.clone(),
            stage: file.stage.clone(),
            endpoint: file.endpoint.clone(),
        }),
    })
}
