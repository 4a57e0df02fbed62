//! From names in the configuration to metric ids (guide, section 2: names change, ids do not).

use super::report_columns::{ReportRequest, Selection};
use super::version::RegistryVersion;
use super::{CatalogMetric, MetricStatus};
use crate::vocabulary::{Failure, nearest_name};

/// The custom metrics that a report asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Their ids, each once.
    pub ids: Vec<String>,
    /// What an operator should know, each a sentence for the log.
    pub warnings: Vec<String>,
}

/// Resolves a report's custom metrics against the tenant's catalog, and against the names that the
/// registry remembers.
///
/// # Errors
/// [`crate::vocabulary::FailureKind::Configuration`] for a name that nothing or more than one
/// metric has, and for a metric that is a draft or not assigned to the report's group.
pub fn resolve(
    request: &ReportRequest,
    catalog: &[CatalogMetric],
    registry: Option<&RegistryVersion>,
) -> Result<Resolution, Failure> {
    let Selection::Listed(wanted) = &request.custom_metrics else {
        let ids = catalog
            .iter()
            .filter(|metric| metric.status == MetricStatus::Published && is_assigned(metric, request))
            .map(|metric| metric.id.clone())
            .collect();
        return Ok(Resolution { ids, warnings: Vec::new() });
    };
    let mut resolution = Resolution::default();
    for name in wanted {
        let Some(id) = find(name, request, catalog, registry, &mut resolution.warnings)? else { continue };
        if !resolution.ids.contains(&id) {
            resolution.ids.push(id);
        }
    }
    Ok(resolution)
}

/// The id for a name or id; `None` for a metric that is no longer there.
fn find(
    name: &str,
    request: &ReportRequest,
    catalog: &[CatalogMetric],
    registry: Option<&RegistryVersion>,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    if let Some(metric) = catalog.iter().find(|metric| metric.id == name) {
        return usable(metric, request, registry, warnings);
    }
    let mut named: Vec<&CatalogMetric> = catalog.iter().filter(|metric| metric.display_name == name).collect();
    // A retired metric does not keep its name from the published one that took it over.
    if named.iter().any(|metric| metric.status == MetricStatus::Published) {
        named.retain(|metric| metric.status != MetricStatus::Retired);
    }
    // A name that another published metric had before means either of them.
    let had_it: Vec<&CatalogMetric> = registry
        .iter()
        .flat_map(|registry| &registry.metrics)
        .filter(|known| known.display_name == name || known.earlier_names.iter().any(|earlier| earlier == name))
        .filter_map(|known| catalog.iter().find(|metric| metric.id == known.id))
        .filter(|metric| metric.status == MetricStatus::Published && metric.display_name != name)
        .collect();
    if !named.is_empty() {
        named.extend(had_it);
    }
    match named.as_slice() {
        [] => find_remembered(name, request, catalog, registry, warnings),
        [metric] => usable(metric, request, registry, warnings),
        several => Err(ambiguous(name, request, several.iter().map(|metric| metric.id.as_str()))),
    }
}

fn find_remembered(
    name: &str,
    request: &ReportRequest,
    catalog: &[CatalogMetric],
    registry: Option<&RegistryVersion>,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    let remembered: Vec<_> = registry
        .iter()
        .flat_map(|registry| &registry.metrics)
        .filter(|metric| {
            metric.id == name
                || metric.display_name == name
                || metric.earlier_names.iter().any(|earlier| earlier == name)
        })
        .collect();
    let [metric] = remembered.as_slice() else {
        return Err(if remembered.is_empty() {
            unknown(name, request, catalog)
        } else {
            ambiguous(name, request, remembered.iter().map(|metric| metric.id.as_str()))
        });
    };
    let Some(current) = catalog.iter().find(|current| current.id == metric.id) else {
        warnings.push(format!("the metric \"{name}\" ({}) is gone from the catalog: no longer requested", metric.id));
        return Ok(None);
    };
    warnings.push(format!(
        "the metric {} is now called {:?}: the configuration has its earlier name \"{name}\"",
        current.id, current.display_name
    ));
    usable(current, request, registry, warnings)
}

fn usable(
    metric: &CatalogMetric,
    request: &ReportRequest,
    registry: Option<&RegistryVersion>,
    warnings: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    let refuse = |what: &str, hint: &str| {
        Err(Failure::configuration(format!(
            "request the metric {:?} ({}) for reports.{}: it {what}",
            metric.display_name, metric.id, request.name
        ))
        .hint(hint))
    };
    let requirement = "custom metrics must be published and assigned to the target reporting groups";
    let was_known = registry.is_some_and(|registry| registry.metrics.iter().any(|known| known.id == metric.id));
    match metric.status {
        MetricStatus::Draft => refuse("is a draft", requirement),
        MetricStatus::Retired if was_known => {
            warnings.push(format!("the metric {} is retired: no longer requested", metric.id));
            Ok(None)
        }
        MetricStatus::Retired => refuse("is retired", "take it out of custom_metrics"),
        MetricStatus::Published if !is_assigned(metric, request) => {
            refuse("is not assigned to the report's group", requirement)
        }
        MetricStatus::Published => Ok(Some(metric.id.clone())),
    }
}

fn is_assigned(metric: &CatalogMetric, request: &ReportRequest) -> bool {
    match (&metric.reporting_groups, &request.group) {
        (Some(groups), Some(group)) => groups.contains(group),
        _ => true,
    }
}

fn ambiguous<'a>(name: &str, request: &ReportRequest, ids: impl Iterator<Item = &'a str>) -> Failure {
    let ids: Vec<&str> = ids.collect();
    Failure::configuration(format!(
        "resolve the metric \"{name}\" of reports.{}: {} metrics have that name: {}",
        request.name,
        ids.len(),
        ids.join(", ")
    ))
    .hint("name the id in custom_metrics")
}

fn unknown(name: &str, request: &ReportRequest, catalog: &[CatalogMetric]) -> Failure {
    let known = catalog.iter().flat_map(|metric| [metric.display_name.as_str(), metric.id.as_str()]);
    let failure = Failure::configuration(format!(
        "resolve the metric \"{name}\" of reports.{}: the catalog has none",
        request.name
    ));
    match nearest_name(name, known) {
        Some(nearest) => failure.hint(format!("did you mean \"{nearest}\"?")),
        None => failure.hint("custom_metrics holds display names or ids of published metrics"),
    }
}
