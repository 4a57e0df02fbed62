//! Floor 1: what we were asked. [`mod@file`] is the configuration as it is written, [`Settings`] the
//! same as a whole, checked, without any I/O of its own.

mod check;
pub mod file;
pub mod limits;
mod read;
mod show;
pub mod warehouse_file;
mod warehouses;

use std::collections::BTreeMap;

use chrono_tz::Tz;

pub use file::{
    Baseline, CustomMetric, CustomMetricSelection, DriftPolicy, Group, Limits, Policy, UnknownKeyPolicy, WindowLength,
};
pub use read::{Surroundings, located, read_settings};
pub use show::{Origin, ShownValue, shown_values};
pub use warehouses::{SnowflakeSecret, WarehouseKind};

use crate::vocabulary::{ColumnType, Constraints, Failure, QuietHours, Secret};

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Tenants by name.
    pub tenants: BTreeMap<String, TenantSettings>,
    /// Reports by name.
    pub reports: BTreeMap<String, ReportSettings>,
    /// Where the Parquet goes.
    pub lake: LakeSettings,
    /// Where committed days are loaded to, by name.
    pub warehouses: BTreeMap<String, WarehouseSettings>,
    /// Who is told of drift.
    pub alerts: AlertSettings,
    /// JSON Pointers of fields of rejects whose values are never shown.
    pub masked: Vec<String>,
}

impl Settings {
    /// That the tenants of these reports can be signed in to, as far as the configuration tells.
    ///
    /// # Errors
    /// The first secret that cannot be read.
    pub fn need_secrets_of(&self, reports: &[&ReportSettings]) -> Result<(), Failure> {
        let tenants = reports.iter().filter_map(|report| self.tenants.get(&report.tenant));
        let mut secrets = tenants.flat_map(|tenant| [&tenant.client_id, &tenant.client_secret]);
        secrets.try_for_each(|secret| secret.as_ref().map(drop).map_err(Clone::clone))
    }

    /// All secrets that are needed by some.
    fn needed_secrets(&mut self) -> impl Iterator<Item = &mut NeededSecret> {
        let of_tenants =
            self.tenants.values_mut().flat_map(|tenant| [&mut tenant.client_id, &mut tenant.client_secret]);
        of_tenants.chain(self.warehouses.values_mut().filter_map(|warehouse| warehouse.kind.secret()))
    }

    /// The same for one of several runs at once, which keeps this part of each tenant's pace: all of
    /// them together are as fast as one alone would be.
    #[must_use]
    pub fn with_share(mut self, share: Share) -> Self {
        let part = f64::from(share.parts) / f64::from(share.of);
        for tenant in self.tenants.values_mut() {
            tenant.limits.requests_per_second *= part;
            tenant.limits.burst = (tenant.limits.burst * share.parts / share.of).max(1);
        }
        self
    }
}

/// A part of a pace: `1/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    parts: u32,
    of: u32,
}

impl std::str::FromStr for Share {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (parts, of) = text.split_once('/').ok_or("write a part as 1/8")?;
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| "write a part as 1/8");
        let share = Self { parts: number(parts)?, of: number(of)? };
        match 0 < share.parts && share.parts <= share.of && share.of <= 1000 {
            true => Ok(share),
            false => Err("a part is more than nothing, and the whole at most; of 1000 at most"),
        }
    }
}

/// Who is told of drift.
#[derive(Clone, Debug, Default)]
pub struct AlertSettings {
    /// A program and its arguments; nobody, where it is empty.
    pub command: Vec<String>,
    /// A URL.
    pub webhook: Option<Secret>,
}

/// A secret, or why it cannot be read, which concerns only those who need it: who reads the lake signs in nowhere, and a
/// run of one tenant has not those of another.
pub type NeededSecret = Result<Secret, Failure>;

/// One tenant.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// Its name in the configuration and in the lake.
    pub name: String,
    /// The host that gives tokens, without a slash at its end.
    pub auth_url: String,
    /// The client's id.
    pub client_id: NeededSecret,
    /// The client's secret.
    pub client_secret: NeededSecret,
    /// The zone that the tenant must report.
    pub time_zone: Option<Tz>,
    /// Where the keys are that sign tokens.
    pub jwks_url: Option<String>,
    /// Region claim -> data plane, without a slash at its end.
    pub regions: BTreeMap<String, String>,
    /// Whether its hosts may have private addresses.
    pub allow_private_addresses: bool,
    /// Pace and patience.
    pub limits: Limits,
    /// Hours of its zone outside of which large runs wait.
    pub quiet_hours: Vec<QuietHours>,
    /// Where the registry is, if not in the lake.
    pub registry_url: Option<String>,
    /// What the catalog does not say, by metric id.
    pub custom_metrics: BTreeMap<String, CustomMetric>,
}

/// One report.
#[derive(Clone, Debug)]
pub struct ReportSettings {
    /// Its name in the configuration and in the lake.
    pub name: String,
    /// The tenant's name.
    pub tenant: String,
    /// The report's name at the tenant.
    pub report: String,
    /// Columns of `group_by`, in order.
    pub group_by: Vec<StandardColumn>,
    /// Columns of `metrics`, in order.
    pub metrics: Vec<StandardColumn>,
    /// Custom metrics asked for.
    pub custom_metrics: CustomMetricSelection,
    /// The source keys that name a record.
    pub key: Vec<String>,
    /// The source key of the timestamp that must lie in the window.
    pub time_column: Option<String>,
    /// Records asked for in one page.
    pub page_records: u64,
    /// Whether pages overlap by a record.
    pub paging_check: bool,
    /// The longest record.
    pub max_record_bytes: usize,
    /// How long windows are.
    pub window: WindowLength,
    /// The most records of a window.
    pub max_window_records: u64,
    /// Days before the asked ones that are read again.
    pub lookback_days: u32,
    /// Minutes after its end before a window is read.
    pub settle_delay_mins: u64,
    /// The group that the tenant filters by.
    pub group: Option<Group>,
    /// Drift and rejects.
    pub policy: Policy,
    /// What a window's totals must be.
    pub baseline: Option<Baseline>,
    /// The warehouses that committed days are loaded into.
    pub load: Vec<String>,
    /// The table there.
    pub table: String,
}

impl ReportSettings {
    /// The table of its rejects.
    pub fn quarantine_table(&self) -> String {
        format!("{}_quarantine", self.table)
    }
}

/// A warehouse.
#[derive(Clone, Debug)]
pub struct WarehouseSettings {
    /// Its name in the configuration.
    pub name: String,
    /// Whether rejects are loaded too.
    pub load_quarantine: bool,
    /// What it is.
    pub kind: WarehouseKind,
}

/// A column that a key of `group_by` or `metrics` fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandardColumn {
    /// The key in the record.
    pub source: String,
    /// The column's name.
    pub name: String,
    /// The column's type.
    pub column_type: ColumnType,
    /// Whether every record must have it.
    pub required: bool,
    /// The rules beside the type.
    pub constraints: Constraints,
}

/// The lake.
#[derive(Clone, Debug)]
pub struct LakeSettings {
    /// A URL, or a path.
    pub url: String,
    /// `object_store` options by their names.
    pub options: BTreeMap<String, Secret>,
    /// The codec by its Parquet name, and its level.
    pub compression: Compression,
    /// The most rows of a row group.
    pub row_group_rows: usize,
    /// Source keys or metric ids whose columns get a bloom filter; `None`: those of the key.
    pub bloom_columns: Option<Vec<String>>,
}

/// How Parquet pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard with a level.
    Zstd(i32),
    /// Snappy.
    Snappy,
    /// Not at all.
    Uncompressed,
}

#[cfg(test)]
mod tests;
