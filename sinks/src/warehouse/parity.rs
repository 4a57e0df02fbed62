//! Whether a table holds what the manifests promise, by count and sums.

use std::collections::BTreeMap;

use arrow::datatypes::i256;

use crate::lake::ValueSum;

/// How far apart two sums of float64 may be, as a share of the sum of their magnitudes: the order in
/// which they are added is the warehouse's.
#[cfg(any(feature = "bigquery", feature = "snowflake"))]
pub(super) const FLOAT_TOLERANCE: &str = "1e-9";

/// The sums of several files, column by column. Decimal text is added exactly.
pub fn add_sums<'a>(files: impl IntoIterator<Item = &'a [ValueSum]>) -> Vec<ValueSum> {
    let mut totals: BTreeMap<&str, ValueSum> = BTreeMap::new();
    for sum in files.into_iter().flatten() {
        match totals.get_mut(sum.column.as_str()) {
            None => {
                totals.insert(&sum.column, sum.clone());
            }
            Some(total) => {
                total.values += sum.values;
                total.sum = added(&total.sum, &sum.sum);
            }
        }
    }
    totals.into_values().collect()
}

fn added(left: &str, right: &str) -> String {
    let exact = || {
        let (left, right) = (Decimal::parse(left)?, Decimal::parse(right)?);
        left.plus(right)
    };
    // What is no plain decimal is a float's text.
    exact().map_or_else(
        || {
            let float = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
            (float(left) + float(right)).to_string()
        },
        |total| total.text(),
    )
}

/// A decimal number, its digits as they are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    unscaled: i256,
    scale: u32,
}

impl Decimal {
    /// Reads `-12.50`; nothing with an exponent.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let unscaled = i256::from_string(&format!("{whole}{fraction}"))?;
        Some(Self { unscaled, scale: u32::try_from(fraction.len()).ok()? })
    }

    fn with_scale(self, scale: u32) -> Option<i256> {
        self.unscaled.checked_mul(i256::from_i128(10).checked_pow(scale.checked_sub(self.scale)?)?)
    }

    fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let unscaled = self.with_scale(scale)?.checked_add(other.with_scale(scale)?)?;
        Some(Self { unscaled, scale })
    }

    fn text(self) -> String {
        let scale = self.scale as usize;
        let sign = if self.unscaled < i256::ZERO { "-" } else { "" };
        let digits = format!("{:0>width$}", self.unscaled.to_string().trim_start_matches('-'), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        let scale = self.scale.max(other.scale);
        self.with_scale(scale).is_some() && self.with_scale(scale) == other.with_scale(scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, expected: &str) {
        assert_eq!(added(left, right), expected, "{left} + {right}");
    }

    #[test]
    fn decimal_sums_are_exact_and_float_sums_are_floats() {
        check("0.10", "0.2", "0.30");
        check("-1.45", "1.45", "0.00");
        check("9007199254740993", "1", "9007199254740994");
        check("170141183460469231731687303715884105727", "1", "170141183460469231731687303715884105728");
        check(
            "1e300",
            "1",
            "1000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        );
    }

    #[test]
    fn sums_of_files_are_added_by_column() {
        let file = |sums: &[(&str, u64, &str)]| -> Vec<ValueSum> {
            let sum = |&(column, values, sum): &(&str, u64, &str)| ValueSum {
                column: column.to_owned(),
                values,
                sum: sum.to_owned(),
            };
            sums.iter().map(sum).collect()
        };
        let (first, second) = (file(&[("a", 2, "1.5"), ("b", 1, "7")]), file(&[("a", 1, "0.25")]));
        assert_eq!(add_sums([first.as_slice(), second.as_slice()]), file(&[("a", 3, "1.75"), ("b", 1, "7")]));
    }

    #[test]
    fn decimals_are_equal_whatever_zeros_they_are_written_with() {
        assert_eq!(Decimal::parse("1.50"), Decimal::parse("1.5"));
        assert_ne!(Decimal::parse("1.50"), Decimal::parse("1.51"));
    }
}
