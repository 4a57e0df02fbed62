//! What the values of the configuration must satisfy, alone and together.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono_tz::Tz;
use url::Url;

use super::file::{
    Alerts, Baseline, Column, CustomMetricSelection, File, Lake, Limits, Parquet, Report, Tenant, Webhook,
};
use super::read::Surroundings;
use super::warehouses;
use super::{AlertSettings, Compression, LakeSettings, ReportSettings, Settings, StandardColumn, TenantSettings};
use crate::vocabulary::{ColumnType, Failure, QuietHours, Secret, is_plain_name, is_private, nearest_name, snake_case};

/// Folders of a tenant in the lake that are not reports.
const RESERVED_REPORT_NAMES: [&str; 4] = ["metric_catalog", "registry", "runs", "probe"];

/// A window's keys are held in memory, about 35 bytes each.
const MOST_WINDOW_RECORDS: u64 = 100_000_000;
/// Ten years.
const MOST_SETTLE_DELAY_MINS: u64 = 10 * 366 * 24 * 60;
/// A year.
const MOST_LOOKBACK_DAYS: u64 = 366;

pub(super) fn settings(file: File, surroundings: &Surroundings<'_>) -> Result<Settings, Failure> {
    let lake = lake(file.lake, surroundings)?;
    let mut tenants = BTreeMap::new();
    for (name, file) in file.tenants {
        tenants.insert(name.clone(), tenant(name, file, surroundings)?);
    }
    let mut registries = BTreeMap::new();
    for tenant in tenants.values() {
        let Some(url) = &tenant.registry_url else { continue };
        if let Some(other) = registries.insert(url.trim_end_matches('/'), &tenant.name) {
            return Err(Failure::configuration(format!(
                "read tenants.{}.registry_url: it is that of the tenant \"{other}\" too",
                tenant.name
            ))
            .hint("each tenant has a registry of its own: name a folder for each"));
        }
    }
    let mut reports = BTreeMap::new();
    for (name, file) in file.reports {
        if !tenants.contains_key(&file.tenant) {
            return Err(unknown_tenant(&name, &file.tenant, &tenants));
        }
        reports.insert(name.clone(), report(name, file)?);
    }
    let alerts = alerts(file.alerts, surroundings)?;
    let masked = file.quarantine.mask;
    if let Some(pointer) = masked.iter().find(|pointer| !pointer.starts_with('/')) {
        return Err(Failure::configuration(format!("read quarantine.mask: \"{pointer}\" is no JSON Pointer"))
            .hint("write the field's path: mask = [\"/customerPhone\", \"/customMetrics/cm_1a2b\"]"));
    }
    let warehouses = warehouses::warehouses(file.warehouses, surroundings)?;
    warehouses::check_loads(&reports, &warehouses, &lake.url)?;
    Ok(Settings { tenants, reports, lake, warehouses, alerts, masked })
}

fn alerts(file: Alerts, surroundings: &Surroundings<'_>) -> Result<AlertSettings, Failure> {
    let webhook = match file.webhook {
        None => None,
        Some(Webhook::Url(url)) => Some(Secret::new(url)),
        Some(Webhook::Secret(source)) => Some(surroundings.secret("alerts.webhook", &source)??),
    };
    let is_allowed = |url: &Url| {
        let loopback = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || url.scheme() == "http" && loopback
    };
    // The URL itself can be a secret: no message shows it.
    if webhook.as_ref().is_some_and(|url| !Url::parse(url.reveal()).is_ok_and(|url| is_allowed(&url))) {
        return Err(Failure::configuration("read alerts.webhook: it is no URL that events may be sent to")
            .hint("write https://…; http:// is for loopback addresses only"));
    }
    Ok(AlertSettings { command: file.command, webhook })
}

fn unknown_tenant(report: &str, tenant: &str, tenants: &BTreeMap<String, TenantSettings>) -> Failure {
    let known = || tenants.keys().map(String::as_str);
    let failure = Failure::configuration(format!("read reports.{report}: there is no tenant \"{tenant}\""));
    match nearest_name(tenant, known()) {
        Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
        None => failure.hint(format!("add [tenants.{tenant}]")),
    }
}

fn plain_name(place: &str, name: &str) -> Result<(), Failure> {
    if is_plain_name(name) {
        return Ok(());
    }
    Err(Failure::configuration(format!("read {place}: \"{name}\" cannot name a folder of the lake"))
        .hint("use letters, digits, '.', '_' and '-'"))
}

fn tenant(name: String, file: Tenant, surroundings: &Surroundings<'_>) -> Result<TenantSettings, Failure> {
    let place = format!("tenants.{name}");
    plain_name(&place, &name)?;
    let time_zone = file.time_zone.as_deref().map(|zone| time_zone(&place, zone)).transpose()?;
    if file.regions.is_empty() {
        return Err(Failure::configuration(format!("read {place}.regions: no region is allowed"))
            .hint("list the data plane of each region: na1 = \"https://na1.nicecxone.com\""));
    }
    let host_url = |place: String, text: &str| host_url(&place, text, file.allow_private_addresses);
    let mut regions = BTreeMap::new();
    for (region, url) in file.regions {
        let url = host_url(format!("{place}.regions.{region}"), &url)?;
        regions.insert(region, url);
    }
    if let Some(url) = &file.jwks_url {
        host_url(format!("{place}.jwks_url"), url)?;
    }
    limits(&place, &file.limits)?;
    Ok(TenantSettings {
        auth_url: host_url(format!("{place}.auth_url"), &file.auth_url)?,
        client_id: surroundings.secret(&format!("{place}.client_id"), &file.client_id)?,
        client_secret: surroundings.secret(&format!("{place}.client_secret"), &file.client_secret)?,
        time_zone,
        jwks_url: file.jwks_url,
        regions,
        allow_private_addresses: file.allow_private_addresses,
        quiet_hours: quiet_hours(&place, &file.limits)?,
        limits: file.limits,
        registry_url: file.registry_url,
        custom_metrics: file.custom_metrics,
        name,
    })
}

fn time_zone(place: &str, name: &str) -> Result<Tz, Failure> {
    name.parse().map_err(|_| {
        let nearest = nearest_name(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        let hint = nearest.map_or_else(|| "use an IANA name".to_owned(), |zone| format!("did you mean \"{zone}\"?"));
        Failure::configuration(format!("read {place}.time_zone: unknown time zone \"{name}\"")).hint(hint)
    })
}

/// A URL that a token may be sent to: HTTPS, or HTTP to a loopback address (tenant API).
pub(super) fn host_url(place: &str, text: &str, allow_private: bool) -> Result<String, Failure> {
    let refuse = |what: &str| {
        Err(Failure::configuration(format!("read {place}: {what} in \"{text}\""))
            .hint("write https://HOST; http:// is for loopback addresses only"))
    };
    let Ok(url) = Url::parse(text) else {
        return refuse("no URL");
    };
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(domain)) => domain == "localhost",
        None => return refuse("no host"),
    };
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        _ => None,
    };
    if address.is_some_and(|address| !loopback && !allow_private && is_private(address)) {
        return Err(Failure::configuration(format!("read {place}: a private address in \"{text}\""))
            .hint("set allow_private_addresses = true in the tenant if it is right"));
    }
    if !(url.scheme() == "https" || url.scheme() == "http" && loopback) {
        return refuse("a token would travel unencrypted");
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return refuse("user, query or fragment");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn limits(place: &str, limits: &Limits) -> Result<(), Failure> {
    let refuse = |key: &str, expected: &str| {
        Err(Failure::configuration(format!("read {place}.limits.{key}: expected {expected}"))
            .hint("leave it out for the default"))
    };
    if !(limits.requests_per_second.is_finite() && limits.requests_per_second > 0.0) {
        return refuse("requests_per_second", "a number above 0");
    }
    if limits.burst == 0 {
        return refuse("burst", "1 or more");
    }
    if !(0.0..=100.0).contains(&limits.slow_below_percent) {
        return refuse("slow_below_percent", "0 to 100");
    }
    if limits.pages_in_flight == 0 || limits.pages_in_flight > 64 {
        return refuse("pages_in_flight", "1 to 64");
    }
    if limits.retry_attempts == 0 {
        return refuse("retry_attempts", "1 or more");
    }
    if limits.request_timeout_secs == 0 {
        return refuse("request_timeout_secs", "1 or more");
    }
    Ok(())
}

fn quiet_hours(place: &str, limits: &Limits) -> Result<Vec<QuietHours>, Failure> {
    let parsed: Result<Vec<QuietHours>, _> = limits.quiet_hours.iter().map(|text| text.parse()).collect();
    parsed.map_err(|error| {
        Failure::configuration(format!("read {place}.limits.quiet_hours: {error}"))
            .hint("write them in the tenant's zone: quiet_hours = [\"08:00-18:00\"]")
    })
}

fn report(name: String, file: Report) -> Result<ReportSettings, Failure> {
    let place = format!("reports.{name}");
    plain_name(&place, &name)?;
    if RESERVED_REPORT_NAMES.contains(&name.as_str()) {
        return Err(Failure::configuration(format!("read {place}: the lake keeps a folder of that name for itself"))
            .hint("choose another name"));
    }
    if file.page_records == 0 || file.max_window_records == 0 || file.max_record_mib == 0 {
        return Err(Failure::configuration(format!(
            "read {place}: page_records, max_window_records and max_record_mib must be 1 or more"
        ))
        .hint("leave them out for the defaults"));
    }
    let too_large = [
        ("max_window_records", file.max_window_records, MOST_WINDOW_RECORDS),
        ("settle_delay_mins", file.settle_delay_mins, MOST_SETTLE_DELAY_MINS),
        ("lookback_days", file.lookback_days.into(), MOST_LOOKBACK_DAYS),
    ]
    .into_iter()
    .find(|(_, value, most)| value > most);
    if let Some((key, _, most)) = too_large {
        return Err(Failure::configuration(format!("read {place}.{key}: expected at most {most}"))
            .hint("leave it out for the default"));
    }
    if !(0.0..=100.0).contains(&file.policy.max_quarantined_percent) {
        return Err(Failure::configuration(format!("read {place}.policy.max_quarantined_percent: expected 0 to 100"))
            .hint("leave it out for the default, 5"));
    }
    if let CustomMetricSelection::Wildcard(text) = &file.custom_metrics
        && text != "*"
    {
        return Err(Failure::configuration(format!("read {place}.custom_metrics: \"{text}\" is not a list"))
            .hint("write a list of names or ids, or \"*\" for all that are published"));
    }
    if let Some(baseline) = &file.baseline {
        check_baseline(&place, baseline)?;
    }
    known_sources(&place, &file)?;
    let column = |source: &String, default| standard_column(source, file.columns.get(source), &file.key, default);
    let group_by: Vec<_> = file.group_by.iter().map(|source| column(source, ColumnType::String)).collect();
    let metrics: Vec<_> = file.metrics.iter().map(|source| column(source, ColumnType::Number)).collect();
    distinct_names(&place, group_by.iter().chain(&metrics))?;
    time_column(&place, file.time_column.as_deref(), group_by.iter().chain(&metrics))?;
    let table = warehouses::table_name(&name, file.table)?;
    Ok(ReportSettings {
        name,
        tenant: file.tenant,
        report: file.report,
        group_by,
        metrics,
        custom_metrics: file.custom_metrics,
        key: file.key,
        time_column: file.time_column,
        page_records: file.page_records,
        paging_check: file.paging_check,
        max_record_bytes: usize::try_from(file.max_record_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX),
        window: file.window,
        max_window_records: file.max_window_records,
        lookback_days: file.lookback_days,
        settle_delay_mins: file.settle_delay_mins,
        group: file.filter.group,
        policy: file.policy,
        baseline: file.baseline,
        load: file.load,
        table,
    })
}

fn check_baseline(place: &str, baseline: &Baseline) -> Result<(), Failure> {
    if baseline.file.is_some() == baseline.aggregate {
        return Err(Failure::configuration(format!("read {place}.baseline: it needs one source"))
            .hint("write file = \"totals.csv\", or aggregate = true"));
    }
    if !(0.0..=100.0).contains(&baseline.tolerance_percent) {
        return Err(Failure::configuration(format!("read {place}.baseline.tolerance_percent: expected 0 to 100"))
            .hint("leave it out for 0: totals must be equal"));
    }
    Ok(())
}

/// Every key that the report refers to is asked for.
fn known_sources(place: &str, file: &Report) -> Result<(), Failure> {
    if file.key.is_empty() {
        return Err(Failure::configuration(format!("read {place}.key: nothing names a record"))
            .hint("list keys of group_by: key = [\"interactionId\"]"));
    }
    let unknown = |key: &str, name: &str, known: Vec<&str>| {
        let hint = match nearest_name(name, known.iter().copied()) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => format!("known here: {}", known.join(", ")),
        };
        Failure::configuration(format!("read {place}.{key}: \"{name}\" is not asked for")).hint(hint)
    };
    let grouped = || file.group_by.iter().map(String::as_str).collect::<Vec<_>>();
    let asked = || file.group_by.iter().chain(&file.metrics).map(String::as_str).collect::<Vec<_>>();
    if let Some(name) = file.key.iter().find(|name| !file.group_by.contains(name)) {
        return Err(unknown("key", name, grouped()));
    }
    if let Some(name) = file.columns.keys().find(|name| !asked().contains(&name.as_str())) {
        return Err(unknown("columns", name, asked()));
    }
    if let Some(name) = file.time_column.as_ref().filter(|name| !asked().contains(&name.as_str())) {
        return Err(unknown("time_column", name, asked()));
    }
    Ok(())
}

fn standard_column(source: &str, column: Option<&Column>, key: &[String], default: ColumnType) -> StandardColumn {
    StandardColumn {
        source: source.to_owned(),
        name: snake_case(source),
        column_type: column.and_then(|column| column.column_type).unwrap_or(default),
        required: key.iter().any(|name| name == source) || column.is_some_and(|column| column.required),
        constraints: column.map(Column::constraints).unwrap_or_default(),
    }
}

fn distinct_names<'a>(place: &str, columns: impl Iterator<Item = &'a StandardColumn>) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for column in columns {
        let name = column.name.as_str();
        if matches!(name, "dt" | "report_date") || name.starts_with('_') || column.source == "customMetrics" {
            return Err(Failure::configuration(format!(
                "read {place}: the column \"{name}\" of {} is reserved",
                column.source
            ))
            .hint("leave that key out of group_by and metrics"));
        }
        if let Some(other) = seen.insert(name, &column.source) {
            return Err(Failure::configuration(format!(
                "read {place}: {other} and {} would share the column \"{name}\"",
                column.source
            ))
            .hint("leave one of them out of group_by and metrics"));
        }
    }
    Ok(())
}

fn time_column<'a>(
    place: &str,
    source: Option<&str>,
    mut columns: impl Iterator<Item = &'a StandardColumn>,
) -> Result<(), Failure> {
    let Some(source) = source else { return Ok(()) };
    match columns.find(|column| column.source == source) {
        Some(column) if column.column_type != ColumnType::Timestamp => Err(Failure::configuration(format!(
            "read {place}.time_column: {source} is a {}, not a timestamp",
            column.column_type
        ))
        .hint(format!("add to [{place}.columns]: {source} = {{ type = \"timestamp\" }}"))),
        _ => Ok(()),
    }
}

fn lake(file: Lake, surroundings: &Surroundings<'_>) -> Result<LakeSettings, Failure> {
    let mut options = BTreeMap::new();
    for (key, option) in &file.options {
        options.insert(key.clone(), surroundings.lake_option(key, option)?);
    }
    let Parquet { compression, row_group_rows, bloom_columns } = file.parquet;
    if row_group_rows == 0 {
        return Err(Failure::configuration("read lake.parquet.row_group_rows: expected 1 or more")
            .hint("leave it out for the default, 524288"));
    }
    let compression = parse_compression(&compression).ok_or_else(|| {
        Failure::configuration(format!("read lake.parquet.compression: unknown codec \"{compression}\""))
            .hint("use zstd(1) to zstd(22), snappy or uncompressed")
    })?;
    Ok(LakeSettings { url: file.url, options, compression, row_group_rows, bloom_columns })
}

fn parse_compression(text: &str) -> Option<Compression> {
    match text {
        "snappy" => Some(Compression::Snappy),
        "uncompressed" => Some(Compression::Uncompressed),
        "zstd" => Some(Compression::Zstd(3)),
        _ => {
            let level = text.strip_prefix("zstd(")?.strip_suffix(')')?.parse().ok()?;
            (1..=22).contains(&level).then_some(Compression::Zstd(level))
        }
    }
}
