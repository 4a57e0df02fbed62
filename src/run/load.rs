//! Committed days into warehouses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use cxlake_sinks::failure::SinkFailureKind;
use cxlake_sinks::lake::{Lake, ObjectKind, WindowCommit};
use cxlake_sinks::warehouse::{LoadedDay, TableLoad, Warehouse};

use super::committed::{self, CommittedDays, CommittedWindow};
use super::day_contents::DayContents;
use super::preflight::lake_location;
use super::registry_store::RegistryStore;
use super::summary::{LoadStatus, TableSummary, WarehouseLoad, WindowOutcome, WindowStatus};
use super::{Environment, RunRecord, RunRequest};
use crate::settings::{ReportSettings, Settings};
use crate::vocabulary::{Failure, FailureKind, nearest_name};

/// How often a day that is committed anew while it is loaded is looked at again.
const DAY_LOOKS: u32 = 6;
/// How often a table may hold something else after a load.
const MOST_DIFFERENCES: u32 = 3;
/// The pause before a look, times the number of the look.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// What to load, and where to.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// Tenants and reports; its span is not used.
    pub selection: RunRequest,
    /// The days.
    pub days: CommittedDays,
    /// Warehouses by name; all that reports name, if empty.
    pub warehouses: Vec<String>,
}

/// Loads the committed days that warehouses do not hold yet. The tenant is not called. Whatever
/// happens stands in `record`.
pub async fn load(settings: &Settings, request: &LoadRequest, environment: &Environment, record: &RunRecord) {
    if let Err(failure) = load_reports(settings, request, environment, record).await {
        record.fail(failure);
    }
}

async fn load_reports(
    settings: &Settings,
    request: &LoadRequest,
    environment: &Environment,
    record: &RunRecord,
) -> Result<(), Failure> {
    let reports = reports(settings, request)?;
    let lake = Lake::open_existing(&lake_location(&settings.lake)).await?;
    let loads = DayLoads { settings, lake: &lake, environment, record };
    for report in reports {
        // One report that cannot be read is no reason to leave the others out.
        if let Err(failure) = load_report(&loads, report, request).await {
            record.fail(failure);
        }
    }
    Ok(())
}

async fn load_report(loads: &DayLoads<'_>, report: &ReportSettings, request: &LoadRequest) -> Result<(), Failure> {
    let DayLoads { settings, lake, record, .. } = *loads;
    let of_report = RunRequest { reports: vec![report.name.clone()], ..request.selection.clone() };
    let windows = committed::find(settings, &of_report, request.days, lake).await?;
    let mut days: BTreeMap<NaiveDate, Vec<(usize, &CommittedWindow<'_>)>> = BTreeMap::new();
    for found in &windows {
        let index =
            record.update(|builder| builder.add_window(&report.tenant, &report.name, &found.window, found.time_zone));
        let commit = WindowCommit { lake, address: &found.address };
        let manifest = lake.uri(&commit.manifest(&found.done));
        let outcome = WindowOutcome::of(&found.done, WindowStatus::Unchanged, manifest);
        record.update(|builder| builder.window_done(index, outcome));
        days.entry(found.address.date).or_default().push((index, found));
    }
    for name in report.load.iter().filter(|name| is_asked(&request.warehouses, name)) {
        loads.warehouse_days(report, name, &days).await;
    }
    Ok(())
}

fn is_asked(asked: &[String], name: &String) -> bool {
    asked.is_empty() || asked.contains(name)
}

fn reports<'a>(settings: &'a Settings, request: &LoadRequest) -> Result<Vec<&'a ReportSettings>, Failure> {
    if let Some(unknown) = request.warehouses.iter().find(|name| !settings.warehouses.contains_key(*name)) {
        let failure = Failure::configuration(format!(
            "find the warehouse \"{unknown}\": the configuration has none of that name"
        ));
        return Err(match nearest_name(unknown, settings.warehouses.keys().map(String::as_str)) {
            Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
            None => failure.hint(format!("add [warehouses.{unknown}]")),
        });
    }
    let mut reports = request.selection.reports(settings)?;
    reports.retain(|report| report.load.iter().any(|name| is_asked(&request.warehouses, name)));
    if reports.is_empty() {
        return Err(Failure::configuration("find a report to load: none of that choice names a warehouse")
            .hint("add load = [\"NAME\"] to the report, and [warehouses.NAME]"));
    }
    Ok(reports)
}

/// Stops a run before it commits anything whose load could never work. A warehouse that cannot be
/// reached now is another matter: the lake goes first.
pub(super) async fn refuse_unusable_warehouses(
    settings: &Settings,
    reports: &[&ReportSettings],
    environment: &Environment,
) -> Result<(), Failure> {
    for name in reports.iter().flat_map(|report| &report.load) {
        match environment.warehouses.get(settings, name, environment).await {
            Err(failure) if failure.kind == FailureKind::Configuration => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

/// What days are loaded with.
pub(super) struct DayLoads<'a> {
    pub(super) settings: &'a Settings,
    pub(super) lake: &'a Lake,
    pub(super) environment: &'a Environment,
    pub(super) record: &'a RunRecord,
}

impl DayLoads<'_> {
    /// Loads a day into all warehouses of its report; `windows` are those of the summary.
    pub(super) async fn day(&self, report: &ReportSettings, date: NaiveDate, windows: &[usize]) {
        for name in &report.load {
            let outcome = self.try_day(report, name, date, None, None).await;
            self.note(report, name, date, windows, outcome);
        }
    }

    /// Loads the days of a report that a warehouse does not hold. Where it cannot even be asked, no day
    /// is tried.
    async fn warehouse_days(
        &self,
        report: &ReportSettings,
        name: &str,
        days: &BTreeMap<NaiveDate, Vec<(usize, &CommittedWindow<'_>)>>,
    ) {
        let (Some((first, windows)), Some(last)) = (days.first_key_value(), days.keys().next_back()) else { return };
        let known = self.known_days(report, name, contents_of(*first, windows), (*first, *last)).await;
        for (date, windows) in days {
            let indices: Vec<usize> = windows.iter().map(|(index, _)| *index).collect();
            let outcome = match &known {
                Err(failure) => Err(failure.clone()),
                Ok(known) => {
                    let is_settled = windows.iter().all(|(_, found)| found.history.settled().is_some());
                    let seen = is_settled.then(|| contents_of(*date, windows));
                    self.try_day(report, name, *date, seen, Some(known)).await
                }
            };
            self.note(report, name, *date, &indices, outcome);
        }
    }

    /// What a warehouse holds of a span of days, in one look. `contents` are those of any of them.
    async fn known_days(
        &self,
        report: &ReportSettings,
        name: &str,
        contents: DayContents,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<KnownDays, Failure> {
        let warehouse = self.environment.warehouses.get(self.settings, name, self.environment).await?;
        let registry = RegistryStore::open_to_read(self.settings, &report.tenant, self.lake)?;
        let mut known = KnownDays::new();
        for kind in self.kinds(name) {
            let table = contents.load(report, kind, self.lake, &registry).await?.table;
            known.insert(kind, warehouse.loaded_days(&table, first, last).await?);
        }
        Ok(known)
    }

    /// The accepted rows, and the rejects where the warehouse takes them.
    fn kinds(&self, name: &str) -> Vec<ObjectKind> {
        match self.settings.warehouses.get(name) {
            Some(warehouse) if warehouse.load_quarantine => vec![ObjectKind::Data, ObjectKind::Quarantine],
            _ => vec![ObjectKind::Data],
        }
    }

    #[tracing::instrument(name = "load", skip_all, fields(report = report.name, warehouse = name, %date))]
    async fn try_day(
        &self,
        report: &ReportSettings,
        name: &str,
        date: NaiveDate,
        mut seen: Option<DayContents>,
        known: Option<&KnownDays>,
    ) -> Result<WarehouseLoad, Failure> {
        let warehouse = self.environment.warehouses.get(self.settings, name, self.environment).await?;
        let registry = RegistryStore::open_to_read(self.settings, &report.tenant, self.lake)?;
        let mut tables = Vec::new();
        for kind in self.kinds(name) {
            let known = known.and_then(|known| known.get(&kind));
            let table = TableDay { loads: self, report, date, kind, warehouse: &warehouse, registry: &registry };
            tables.push(table.ensure(seen.take(), known.map(|days| days.get(&date).cloned())).await?);
        }
        let is_unchanged = tables.iter().all(|(status, _)| *status == LoadStatus::Unchanged);
        let status = if is_unchanged { LoadStatus::Unchanged } else { LoadStatus::Loaded };
        let mut tables = tables.into_iter().map(|(_, table)| table);
        Ok(WarehouseLoad { status, data: tables.next(), quarantine: tables.next(), error: None })
    }

    fn note(
        &self,
        report: &ReportSettings,
        name: &str,
        date: NaiveDate,
        windows: &[usize],
        outcome: Result<WarehouseLoad, Failure>,
    ) {
        let outcome = outcome.map_err(of_the_load);
        match &outcome {
            Ok(load) => tracing::info!(
                report = report.name,
                warehouse = name,
                date = date.to_string(),
                status = load.status.name(),
                "the day is in the warehouse"
            ),
            Err(failure) => {
                tracing::error!(report = report.name, warehouse = name, date = date.to_string(), error = %failure, "the load failed");
            }
        }
        self.record.update(|builder| builder.day_loaded(windows, name, outcome));
    }
}

fn contents_of(date: NaiveDate, windows: &[(usize, &CommittedWindow<'_>)]) -> DayContents {
    DayContents::of(date, windows.iter().map(|(_, found)| (found.address.clone(), found.done.clone())).collect())
}

/// Whatever stops a load, the lake is committed: `load` alone is to be tried again. What is wrong with
/// the configuration stays so.
fn of_the_load(failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::Configuration | FailureKind::Defect => failure,
        _ => Failure { kind: FailureKind::Load, ..failure },
    }
}

/// What a warehouse holds, by table.
type KnownDays = std::collections::HashMap<ObjectKind, BTreeMap<NaiveDate, LoadedDay>>;

/// What a warehouse holds of a day, beside what is committed.
enum Held {
    /// The same, of so many rows.
    Same(u64),
    /// A later commit, which the lake does not have.
    Newer(Failure),
    /// Something else, or nothing; `again` where it was the same when it was loaded.
    Other { again: bool },
}

/// A day of one table.
struct TableDay<'a> {
    loads: &'a DayLoads<'a>,
    report: &'a ReportSettings,
    date: NaiveDate,
    kind: ObjectKind,
    warehouse: &'a Arc<dyn Warehouse>,
    registry: &'a RegistryStore,
}

impl TableDay<'_> {
    /// Sees to it that the table holds what is committed. A day that is committed anew meanwhile is
    /// looked at again, for the newest commit counts, whoever loads it.
    async fn ensure(
        &self,
        mut seen: Option<DayContents>,
        mut known: Option<Option<LoadedDay>>,
    ) -> Result<(LoadStatus, TableSummary), Failure> {
        let mut failure = None;
        // What this process wrote of an earlier state may stand over what another wrote of a newer one;
        // an older job may have ended last, or the table have changed since the job that was found.
        let mut must_write = false;
        let mut differences = 0;
        for look in 0..DAY_LOOKS {
            tokio::time::sleep(LOOK_PAUSE * look).await;
            let contents = match seen.take() {
                Some(contents) => contents,
                None => match DayContents::read(self.loads.lake, self.report, self.date).await? {
                    Ok(contents) => contents,
                    Err(being_replaced) => {
                        failure = Some(being_replaced);
                        continue;
                    }
                },
            };
            let mut load = contents.load(self.report, self.kind, self.loads.lake, self.registry).await?;
            let held = match known.take() {
                Some(held) => held,
                None => self.warehouse.loaded_days(&load.table, self.date, self.date).await?.remove(&self.date),
            };
            match self.compare(held, &load, must_write).await? {
                Held::Same(rows) => return Ok((LoadStatus::Unchanged, summary(&load, rows, None))),
                Held::Newer(refused) => {
                    // The same twice: the lake will not catch up.
                    let is_final = failure.as_ref() == Some(&refused);
                    failure = Some(refused);
                    if is_final {
                        break;
                    }
                    continue;
                }
                Held::Other { again } => load.again = again,
            }
            load.again |= must_write;
            match self.warehouse.load(&load).await {
                Ok(loaded) if !self.is_changed(&load).await? => {
                    return Ok((LoadStatus::Loaded, summary(&load, loaded.rows, Some(loaded.job))));
                }
                Ok(_) => must_write = true,
                Err(refused) => {
                    differences += u32::from(refused.kind == SinkFailureKind::Mismatch);
                    if !is_worth_another(refused.kind, differences) && !self.is_changed(&load).await? {
                        return Err(refused.into());
                    }
                    must_write |= refused.kind != SinkFailureKind::Superseded;
                    tracing::warn!(error = %refused, "the table does not hold the day yet: looking again");
                    failure = Some(refused.into());
                }
            }
        }
        Err(failure.unwrap_or_else(|| self.never_rests()))
    }

    /// What a warehouse holds beside what it should. Where the day `must_write`, it is never the same.
    async fn compare(&self, held: Option<LoadedDay>, load: &TableLoad, must_write: bool) -> Result<Held, Failure> {
        let Some(held) = held else { return Ok(Held::Other { again: false }) };
        if held.sequence > load.sequence {
            return Ok(Held::Newer(self.older_than_loaded(load, &held)));
        }
        // Else somebody changed the table.
        let again = held.content_sha256 == load.content_sha256;
        if again && !must_write && held.rows == load.rows && self.warehouse.holds(load).await? {
            return Ok(Held::Same(held.rows));
        }
        Ok(Held::Other { again })
    }

    fn never_rests(&self) -> Failure {
        Failure::new(
            FailureKind::Load,
            format!("load {} of reports.{}: it is committed anew again and again", self.date, self.report.name),
        )
        .hint("`cxlake load` loads it when that has come to rest")
    }

    /// Whether something else is committed, or about to be, than what was loaded.
    async fn is_changed(&self, load: &TableLoad) -> Result<bool, Failure> {
        let contents = DayContents::read(self.loads.lake, self.report, self.date).await?;
        Ok(contents.map_or(true, |contents| contents.sha256() != load.content_sha256))
    }

    fn older_than_loaded(&self, load: &TableLoad, held: &LoadedDay) -> Failure {
        Failure::new(
            FailureKind::Load,
            format!(
                "load {} of reports.{}: the warehouse holds commit {} of it, and the lake only {}",
                self.date, self.report.name, held.sequence, load.sequence
            ),
        )
        .hint(format!(
            "where the lake was made anew, delete the rows of {} from {} whose sequence is above 0; then `cxlake load`",
            load.table.name,
            cxlake_sinks::warehouse::LOADS_TABLE
        ))
    }
}

/// Whether a load that was refused may do better against the same contents.
fn is_worth_another(kind: SinkFailureKind, differences: u32) -> bool {
    match kind {
        SinkFailureKind::Superseded => true,
        SinkFailureKind::Mismatch => differences < MOST_DIFFERENCES,
        _ => false,
    }
}

fn summary(load: &TableLoad, rows: u64, job: Option<String>) -> TableSummary {
    TableSummary { table: load.table.name.clone(), rows, job }
}
