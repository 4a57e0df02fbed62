//! Sums of the numeric columns of the accepted rows: part of a window's proof.

use arrow::datatypes::i256;
use serde::{Deserialize, Serialize};

use super::cells::{Cell, Cells};
use super::plan::DecodePlan;
use crate::vocabulary::ColumnType;

/// How many values a column has, and their sum.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSum {
    /// The column.
    pub column: String,
    /// Rows with a value.
    pub values: u64,
    /// The sum: exact for integers and decimals, compensated for float64.
    pub sum: String,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    /// A column without a sum.
    None,
    /// As wide as no number of 38-digit values can leave.
    Exact { total: i256, scale: u8 },
    /// A compensated sum: its error does not grow with the number of rows.
    Float { total: f64, lost: f64 },
}

impl Sum {
    pub(super) fn of(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Integer => Self::Exact { total: i256::ZERO, scale: 0 },
            ColumnType::Decimal { scale, .. } => Self::Exact { total: i256::ZERO, scale },
            ColumnType::Number => Self::Float { total: 0.0, lost: 0.0 },
            ColumnType::String | ColumnType::Boolean | ColumnType::Timestamp | ColumnType::Date => Self::None,
        }
    }

    /// A sum that goes on from a text of [`Sum::text`].
    pub(super) fn from_text(column_type: ColumnType, text: &str) -> Self {
        match Self::of(column_type) {
            Self::Exact { scale, .. } => {
                let digits = text.replace('.', "");
                Self::Exact { total: i256::from_string(&digits).unwrap_or_default(), scale }
            }
            Self::Float { .. } => Self::Float { total: text.parse().unwrap_or_default(), lost: 0.0 },
            Self::None => Self::None,
        }
    }

    /// Whether there was a value to add.
    pub(super) fn add(&mut self, cell: &Cell) -> bool {
        match (&mut *self, cell) {
            (Self::Exact { .. }, Cell::Integer(value)) => self.add_exact(i128::from(*value)),
            (Self::Exact { .. }, Cell::Decimal(value)) => self.add_exact(*value),
            (Self::Float { .. }, Cell::Float(value)) => self.add_floats(&[*value]),
            _ => return false,
        }
        true
    }

    /// Adds an unscaled value to an exact sum.
    #[inline]
    pub(super) fn add_exact(&mut self, value: i128) {
        if let Self::Exact { total, .. } = self {
            *total = total.wrapping_add(i256::from_i128(value));
        }
    }

    /// Adds values to a sum of float64.
    #[inline]
    pub(super) fn add_floats(&mut self, values: &[f64]) {
        let Self::Float { total, lost } = self else { return };
        for value in values {
            let next = *total + value;
            // What rounding took, whichever of the two is larger (Knuth, TAOCP 4.2.2, theorem B).
            let added = next - *total;
            *lost += (*total - (next - added)) + (value - added);
            *total = next;
        }
    }

    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Exact { total, scale } => Some(decimal_text(total, scale)),
            Self::Float { total, lost } => Some((total + lost).to_string()),
        }
    }
}

/// Adds a row to the sums of its columns.
pub(super) fn add_to_sums(sums: &mut [(u64, Sum)], cells: &Cells) {
    for ((values, sum), cell) in sums.iter_mut().zip(cells.all()) {
        *values += u64::from(sum.add(cell));
    }
}

/// The sums of a plan's columns, for a manifest.
pub(super) fn column_sums(plan: &DecodePlan, sums: &[(u64, Sum)]) -> Vec<ColumnSum> {
    let sums = plan.columns.iter().zip(sums).filter_map(|(column, (values, sum))| {
        Some(ColumnSum { column: column.name.clone(), values: *values, sum: sum.text()? })
    });
    sums.collect()
}

fn decimal_text(unscaled: i256, scale: u8) -> String {
    let scale = usize::from(scale);
    let sign = if unscaled < i256::ZERO { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.to_string().trim_start_matches('-'), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_for_decimals_and_compensated_for_floats() {
        let mut decimal = Sum::of(ColumnType::Decimal { precision: 9, scale: 2 });
        for unscaled in [5, -250, 100] {
            decimal.add(&Cell::Decimal(unscaled));
        }
        assert_eq!(decimal.text().as_deref(), Some("-1.45"));
        let mut resumed = Sum::from_text(ColumnType::Decimal { precision: 9, scale: 2 }, "-1.45");
        resumed.add(&Cell::Decimal(200));
        assert_eq!(resumed.text().as_deref(), Some("0.55"));
        let most = 10_i128.pow(38) - 1;
        let mut wide = Sum::of(ColumnType::Decimal { precision: 38, scale: 0 });
        for unscaled in [most, most, most, -most, -most] {
            wide.add(&Cell::Decimal(unscaled));
        }
        assert_eq!(wide.text(), Some(most.to_string()));
        let mut float = Sum::of(ColumnType::Number);
        for value in [1e100, 1.0, -1e100, 1.0, 1e100, -1e100] {
            float.add(&Cell::Float(value));
        }
        assert_eq!(float.text().as_deref(), Some("2"));
        assert_eq!(Sum::of(ColumnType::String).text(), None);
    }
}
