//! Names of view columns: what people call a metric, as an identifier that any engine takes.

use std::collections::BTreeSet;

use crate::registry::{Column, ColumnOrigin, Metric};

/// The longest name, for the id of its metric may come behind it; Snowflake and Athena take 255
/// characters.
const LONGEST_NAME: usize = 100;

/// A name for each column, none twice in any case of letters. A metric keeps its name when others
/// come: who was first in the registry has it.
pub(super) fn view_names(columns: &[Column], metrics: &[Metric]) -> Vec<String> {
    let is_metric = |column: &&Column| column.origin == ColumnOrigin::CustomMetric;
    let lower = |column: &Column| column.name.to_lowercase();
    let mut taken: BTreeSet<String> = columns.iter().filter(|column| !is_metric(column)).map(lower).collect();
    // A partition's column; Hive engines show it beside the others.
    taken.insert("dt".to_owned());
    // A metric called as another one's column is not that one.
    let physical: BTreeSet<String> = columns.iter().filter(is_metric).map(lower).collect();
    let mut friendly = std::collections::BTreeMap::new();
    for metric in metrics {
        let suffixes: Vec<&str> = suffixes(columns, &metric.id).collect();
        if suffixes.is_empty() {
            continue;
        }
        let own = |name: &str| suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect::<Vec<_>>();
        let is_free = |name: &String| {
            let of_other = |name: &String| physical.contains(name) && !own(&metric.id.to_lowercase()).contains(name);
            !name.is_empty() && !own(name).iter().any(|name| taken.contains(name) || of_other(name))
        };
        let plain = friendly_name(&metric.display_name);
        let with_id = format!("{plain}__{}", metric.id.to_lowercase()).trim_start_matches('_').to_owned();
        let numbered = (2..).map(|number| format!("{with_id}_{number}"));
        let candidates = [plain, with_id.clone()].into_iter().chain(numbered);
        // Names are finite, so one with a number behind it is free.
        let name = candidates.into_iter().find(is_free).unwrap_or_default();
        taken.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
        friendly.insert(metric.id.as_str(), name);
    }
    let name = |column: &Column| match friendly.get(column.source.as_str()) {
        Some(name) if is_metric(&column) => {
            format!("{name}{}", column.name.strip_prefix(&column.source).unwrap_or_default())
        }
        _ => column.name.clone(),
    };
    columns.iter().map(name).collect()
}

/// What stands behind a metric's id in the names of its columns: nothing, or its type.
fn suffixes<'a>(columns: &'a [Column], id: &'a str) -> impl Iterator<Item = &'a str> {
    let own = columns.iter().filter(move |column| column.origin == ColumnOrigin::CustomMetric && column.source == id);
    own.map(move |column| column.name.strip_prefix(id).unwrap_or_default())
}

/// A display name in lower-case ASCII letters, digits and single `_`; empty where nothing is left.
fn friendly_name(display_name: &str) -> String {
    let ascii = any_ascii::any_ascii(display_name).to_lowercase();
    let words: Vec<&str> = ascii.split(|character: char| !character.is_ascii_alphanumeric()).collect();
    let mut name = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert_str(0, "metric_");
    }
    name.truncate(LONGEST_NAME);
    name.trim_end_matches('_').to_owned()
}
