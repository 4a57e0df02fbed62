//! The catalog of custom metrics.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::address::Call;
use super::answer::{Setback, describe, is_html};
use super::client::Client;
use crate::registry::{CatalogMetric, MetricStatus};
use crate::settings::limits::CATALOG_PAGES;
use crate::vocabulary::{AllowedValue, Constraints, ExactNumber, Failure};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CatalogPage {
    custom_metrics: Vec<Metric>,
    #[serde(default)]
    total_records: Option<u64>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    id: String,
    display_name: String,
    data_type: String,
    status: String,
    #[serde(default)]
    precision: Option<u64>,
    #[serde(default)]
    minimum: Option<Box<RawValue>>,
    #[serde(default)]
    maximum: Option<Box<RawValue>>,
    #[serde(default)]
    allowed_values: Option<Vec<AllowedValue>>,
    #[serde(default)]
    pattern: Option<String>,
    #[serde(default)]
    max_length: Option<u64>,
    #[serde(default)]
    required: Option<bool>,
    #[serde(default)]
    reporting_groups: Option<Vec<String>>,
}

impl Client {
    /// Reads the whole catalog, page by page.
    ///
    /// # Errors
    /// [`crate::vocabulary::FailureKind::Unavailable`] where the pages do not add up to its total.
    pub async fn catalog(&self) -> Result<Vec<CatalogMetric>, Failure> {
        let mut metrics: Vec<CatalogMetric> = Vec::new();
        let mut places = HashMap::new();
        let mut total = None;
        let mut page_token: Option<String> = None;
        for _ in 0..CATALOG_PAGES {
            let page = self.catalog_page(page_token.as_deref()).await?;
            let page_begins_at = metrics.len();
            for metric in page.custom_metrics.into_iter().map(CatalogMetric::from) {
                match places.insert(metric.id.clone(), metrics.len()) {
                    // Paging moved, and may have left out another; or none of the two is the right one.
                    Some(place) if place < page_begins_at || metrics[place] != metric => {
                        return Err(incomplete(&format!("the metric {} comes twice", metric.id)));
                    }
                    _ => metrics.push(metric),
                }
            }
            total = page.total_records.or(total);
            match page.next_page_token.filter(|token| !token.is_empty()) {
                Some(token) if page_token.as_ref() != Some(&token) => page_token = Some(token),
                Some(_) => return Err(incomplete("its pages repeat")),
                None => return whole(metrics, total),
            }
        }
        Err(incomplete("its pages do not end"))
    }

    async fn catalog_page(&self, page_token: Option<&str>) -> Result<CatalogPage, Failure> {
        self.call(
            Call::CustomMetrics,
            |client, url| {
                let request = client.get(url);
                match page_token {
                    Some(token) => request.query(&[("pageToken", token)]),
                    None => request,
                }
            },
            |answer| {
                serde_json::from_slice(&answer.body).map_err(|error| {
                    let what = if is_html(&answer) { "an HTML page".to_owned() } else { error.to_string() };
                    Setback::passing(format!("{}: not the JSON it should be: {what}", describe(&answer)))
                })
            },
        )
        .await
    }
}

/// A bound of a metric. One that is no number bounds nothing that we could check.
fn bound(metric: &str, raw: Option<&RawValue>) -> Option<ExactNumber> {
    let raw = raw.filter(|raw| raw.get() != "null")?;
    let bound = ExactNumber::parse(raw.get());
    if bound.is_none() {
        tracing::warn!(metric, bound = raw.get(), "the catalog has a bound that is no number: it is not checked");
    }
    bound
}

/// Allowed values in an order of their own, for the catalog's means nothing.
fn in_order(mut values: Vec<AllowedValue>) -> Vec<AllowedValue> {
    values.sort_by_cached_key(|value| serde_json::to_string(value).unwrap_or_default());
    values
}

fn whole(metrics: Vec<CatalogMetric>, total: Option<u64>) -> Result<Vec<CatalogMetric>, Failure> {
    match total {
        Some(total) if total != metrics.len() as u64 => {
            Err(incomplete(&format!("it has {} metrics, totalRecords says {total}", metrics.len())))
        }
        _ => Ok(metrics),
    }
}

fn incomplete(what: &str) -> Failure {
    Failure::unavailable(format!("read the catalog of custom metrics: {what}")).hint("run it again")
}

impl From<Metric> for CatalogMetric {
    fn from(metric: Metric) -> Self {
        Self {
            display_name: metric.display_name,
            data_type: metric.data_type,
            constraints: Constraints {
                minimum: bound(&metric.id, metric.minimum.as_deref()),
                maximum: bound(&metric.id, metric.maximum.as_deref()),
                allowed_values: metric.allowed_values.map(in_order),
                pattern: metric.pattern,
                max_length: metric.max_length,
                precision: metric.precision,
                schema: None,
            },
            required: metric.required.unwrap_or(false),
            status: match metric.status.as_str() {
                "published" => MetricStatus::Published,
                "retired" => MetricStatus::Retired,
                // Whatever is not published cannot be asked for.
                _ => MetricStatus::Draft,
            },
            reporting_groups: metric.reporting_groups,
            id: metric.id,
        }
    }
}
