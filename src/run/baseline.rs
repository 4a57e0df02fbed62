//! A window's totals against totals that were made another way.

use std::collections::BTreeMap;

use super::baseline_source::Totals;
use crate::columns::Typed;
use crate::registry::{Column, ColumnOrigin, ReportColumns};
use crate::settings::Baseline;
use crate::vocabulary::{ColumnType, Failure, FailureKind, snake_case};

/// float64 values that are added up in another order differ by so much of the total,
const ROUNDING_OF_TOTAL: f64 = 1e-11;
/// and by so much for each value, where they cancel each other out.
const ROUNDING_OF_VALUE: f64 = 1e-12;

/// What does not match, in words.
#[derive(Debug, Default)]
struct Comparison {
    differences: Vec<String>,
    compared: usize,
    unreadable: Vec<String>,
}

/// The metric that a name of a baseline's is of: its key, id or display name, or its column's name.
/// Keys of `group_by` are no totals.
///
/// # Errors
/// [`FailureKind::Configuration`] where two metrics have the name.
pub(super) fn metric_of<'a>(columns: &'a ReportColumns, name: &str) -> Result<Option<&'a Column>, Failure> {
    let is_metric = |column: &&Column| {
        column.requested
            && matches!(column.origin, ColumnOrigin::Metric | ColumnOrigin::CustomMetric)
            && matches!(column.column_type, ColumnType::Number | ColumnType::Integer | ColumnType::Decimal { .. })
    };
    let is_named = |column: &&Column| {
        let display_name = column.display_name.as_deref() == Some(name);
        column.source == name || column.name == name || display_name || column.name == snake_case(name)
    };
    let mut named = columns.columns.iter().filter(is_metric).filter(is_named);
    match (named.next(), named.next()) {
        (found, None) => Ok(found),
        (Some(one), Some(other)) => Err(Failure::configuration(format!(
            "read a baseline: \"{name}\" is the name of {} and of {}",
            one.source, other.source
        ))
        .hint("map the file's column to an id, in columns of the report's baseline")),
        (None, Some(_)) => Err(Failure::defect("find a metric by its name")),
    }
}

/// Holds a window's totals against a baseline's: what is accepted and what is quarantined together.
///
/// # Errors
/// [`FailureKind::Quality`] where a total differs by more than the tolerance, and where the baseline
/// has nothing to compare.
pub(super) fn compare(
    doing: &str,
    typed: &Typed,
    columns: &ReportColumns,
    totals: &Totals,
    settings: &Baseline,
) -> Result<(), Failure> {
    let mut comparison = Comparison::default();
    let expected = expected_sums(columns, totals, settings)?;
    if let Some(expected) = totals.records {
        let found = (typed.accepted + typed.quarantined) as f64;
        comparison.hold("records", expected, found, 0, settings.tolerance_percent);
    }
    for (column, (name, expected)) in expected {
        let Some(accepted) = typed.sums.iter().find(|sum| sum.column == column) else { continue };
        let Some(rejected) = typed.rejected_sums.iter().find(|rejected| rejected.sum.column == column) else {
            continue;
        };
        let found = number(&accepted.sum) + number(&rejected.sum.sum);
        let values = accepted.values + rejected.sum.values;
        comparison.hold(&name, expected, found, values, settings.tolerance_percent);
        if rejected.unreadable > 0 {
            let words = format!("{name} of {} quarantined records could not be read", rejected.unreadable);
            tracing::warn!(metric = name, unreadable = rejected.unreadable, "baseline: {words}");
            comparison.unreadable.push(words);
        }
    }
    comparison.verdict(doing)
}

/// By column, the name that it has in the baseline, and its total. The tenant's own answer has all of
/// them: what it does not name is 0.
fn expected_sums(
    columns: &ReportColumns,
    totals: &Totals,
    settings: &Baseline,
) -> Result<BTreeMap<String, (String, f64)>, Failure> {
    let mut expected = BTreeMap::new();
    for (name, sum) in &totals.sums {
        if let Some(column) = metric_of(columns, name)? {
            expected.insert(column.name.clone(), (name.clone(), *sum));
        }
    }
    if settings.aggregate {
        for column in &columns.columns {
            if metric_of(columns, &column.name)?.is_some() {
                expected.entry(column.name.clone()).or_insert_with(|| (column.source.clone(), 0.0));
            }
        }
    }
    Ok(expected)
}

impl Comparison {
    fn hold(&mut self, name: &str, expected: f64, found: f64, values: u64, tolerance_percent: f64) {
        self.compared += 1;
        let rounding = ROUNDING_OF_TOTAL * expected.abs().max(found.abs()) + ROUNDING_OF_VALUE * values as f64;
        let allowed = expected.abs() * tolerance_percent / 100.0 + rounding;
        let difference = found - expected;
        if difference.abs() <= allowed && allowed.is_finite() {
            return;
        }
        let [expected, found, difference] = [expected, found, difference].map(words);
        self.differences.push(format!("{name}: expected {expected}, found {found}, difference {difference}"));
    }

    fn verdict(self, doing: &str) -> Result<(), Failure> {
        let failed = |reason: String, hint: &str| {
            Err(Failure::new(FailureKind::Quality, format!("{doing}: {reason}")).hint(hint))
        };
        if self.compared == 0 {
            return failed(
                "the baseline has no total of this window that could be compared".to_owned(),
                "name its columns with date_column, records_column and columns in the report's baseline",
            );
        }
        if self.differences.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = self.differences.into_iter().chain(self.unreadable).collect();
        failed(
            all.join("; "),
            "nothing was published: find out which of both is wrong; baseline.tolerance_percent sets the limit",
        )
    }
}

/// A total without the noise of float64's last digits.
fn words(total: f64) -> String {
    let text = format!("{total:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A sum of ours; one that is beyond float64 matches nothing.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

/// Adds up totals by their names.
pub(super) fn add(sums: &mut BTreeMap<String, f64>, name: &str, value: f64) {
    *sums.entry(name.to_owned()).or_default() += value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_match_within_tolerance_and_rounding_only() {
        let check = |expected: f64, found: f64, values, tolerance, matches: bool| {
            let mut comparison = Comparison::default();
            comparison.hold("metric", expected, found, values, tolerance);
            assert_eq!(comparison.differences.is_empty(), matches, "{expected} {found} {tolerance}");
        };
        check(100.0, 100.0, 3, 0.0, true);
        check(100.0, 100.5, 3, 1.0, true);
        check(-100.0, -100.5, 3, 1.0, true);
        check(100.0, 101.5, 3, 1.0, false);
        check(0.0, 2.8e-17, 3, 0.0, true);
        check(0.0, 0.001, 3, 50.0, false);
        check(1e9, 1e9 + 1.0, 1_000_000, 0.0, false);
        for strange in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            check(strange, 100.0, 3, 100.0, false);
            check(100.0, strange, 3, 100.0, false);
        }
    }
}
