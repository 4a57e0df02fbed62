//! A window's totals against totals that were made another way.

use std::collections::BTreeMap;

use super::baseline_source::Totals;
use crate::columns::Typed;
use crate::registry::ReportColumns;
use crate::vocabulary::{Failure, FailureKind, snake_case};

/// Sums of float64 values in another order differ by their rounding, relative to the total.
const ROUNDING: f64 = 1e-9;

/// What does not match, in words.
#[derive(Debug, Default)]
struct Comparison {
    differences: Vec<String>,
    compared: usize,
    unreadable: Vec<String>,
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
    baseline: &Totals,
    tolerance_percent: f64,
) -> Result<(), Failure> {
    let mut comparison = Comparison::default();
    let allowed = |expected: f64| expected.abs() * (tolerance_percent / 100.0 + ROUNDING);
    if let Some(expected) = baseline.records {
        let found = (typed.accepted + typed.quarantined) as f64;
        comparison.hold("records", expected, found, allowed(expected));
    }
    for (name, expected) in &baseline.sums {
        let Some(column) = column_of(columns, name) else { continue };
        let accepted = typed.sums.iter().find(|sum| sum.column == column).and_then(|sum| number(&sum.sum));
        let rejected = typed.rejected_sums.iter().find(|rejected| rejected.sum.column == column);
        let Some(accepted) = accepted else { continue };
        let found = accepted + rejected.and_then(|rejected| number(&rejected.sum.sum)).unwrap_or_default();
        comparison.hold(name, *expected, found, allowed(*expected));
        if let Some(rejected) = rejected.filter(|rejected| rejected.unreadable > 0) {
            let words = format!("{name} of {} quarantined records could not be read", rejected.unreadable);
            tracing::warn!(metric = name, unreadable = rejected.unreadable, "baseline: {words}");
            comparison.unreadable.push(words);
        }
    }
    comparison.verdict(doing)
}

impl Comparison {
    fn hold(&mut self, name: &str, expected: f64, found: f64, allowed: f64) {
        self.compared += 1;
        let difference = found - expected;
        if difference.abs() > allowed || difference.is_nan() {
            let [expected, found, difference] = [expected, found, difference].map(words);
            self.differences.push(format!("{name}: expected {expected}, found {found}, difference {difference}"));
        }
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

/// The column that a name of the baseline's is of: a key, an id, a display name or the column's own.
fn column_of<'a>(columns: &'a ReportColumns, name: &str) -> Option<&'a str> {
    let is_named = |column: &&crate::registry::Column| {
        let display_name = column.display_name.as_deref() == Some(name);
        column.requested
            && (column.source == name || column.name == name || display_name || column.name == snake_case(name))
    };
    columns.columns.iter().find(is_named).map(|column| column.name.as_str())
}

/// A total without the noise of float64's last digits.
fn words(total: f64) -> String {
    let text = format!("{total:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// Adds up totals by their names.
pub(super) fn add(sums: &mut BTreeMap<String, f64>, name: &str, value: f64) {
    *sums.entry(name.to_owned()).or_default() += value;
}
