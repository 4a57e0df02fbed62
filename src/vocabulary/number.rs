//! JSON numbers by their exact value, with no detour through a float.

use std::cmp::Ordering;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::short_number::{EXPONENT_LIMIT, ShortNumber, read_exponent};

/// Digits that a `u128` holds whatever they are.
const SHORT_DIGITS: usize = 38;
/// A decimal of this many digits always survives the way to float64 and back.
const SAFE_FLOAT_DIGITS: usize = 15;
/// Within these powers of ten a float64 is normal, so that [`SAFE_FLOAT_DIGITS`] holds.
const SAFE_FLOAT_MAGNITUDE: i64 = 290;
/// The exact value of a JSON number literal: `digits × 10^exponent`, with no zero at either end of
/// the digits. Two literals of one value (`1e3`, `1000.0`) are equal; zero has no sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactNumber {
    negative: bool,
    magnitude: Magnitude,
    exponent: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Magnitude {
    Short(u128),
    /// More than [`SHORT_DIGITS`] ASCII digits.
    Long(Box<[u8]>),
}

/// Why a number has no place in a column: its digits or its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The type has too few digits for it.
    Precision,
    /// It is outside of what the type holds.
    Range,
    /// It is not whole.
    NotWhole,
}

impl ExactNumber {
    /// Reads a literal of the JSON grammar (RFC 8259, section 6); `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        is_json_number(text.as_bytes()).then(|| Self::of_literal(text.as_bytes()))
    }

    /// Reads a literal that is known to follow the JSON grammar.
    pub(crate) fn of_literal(literal: &[u8]) -> Self {
        Self::of_short_literal(literal).unwrap_or_else(|| Self::of_any_literal(literal))
    }

    fn of_short_literal(literal: &[u8]) -> Option<Self> {
        let ShortNumber { negative, mut digits, exponent } = ShortNumber::of_literal(literal)?;
        let mut exponent = i64::from(exponent);
        if digits == 0 {
            return Some(Self { negative: false, magnitude: Magnitude::Short(0), exponent: 0 });
        }
        while digits.is_multiple_of(10) {
            digits /= 10;
            exponent += 1;
        }
        Some(Self { negative, magnitude: Magnitude::Short(u128::from(digits)), exponent })
    }

    fn of_any_literal(literal: &[u8]) -> Self {
        let (negative, unsigned) = match literal.split_first() {
            Some((b'-', rest)) => (true, rest),
            _ => (false, literal),
        };
        let exponent_at = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E'));
        let (decimal, exponent) = match exponent_at {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match decimal.iter().position(|byte| *byte == b'.') {
            Some(at) => (&decimal[..at], &decimal[at + 1..]),
            None => (decimal, &decimal[..0]),
        };
        Self::normalised(negative, whole, fraction, exponent)
    }

    fn normalised(negative: bool, whole: &[u8], fraction: &[u8], exponent: i64) -> Self {
        let mut exponent = exponent - length(fraction);
        let leading = whole.iter().take_while(|digit| **digit == b'0').count();
        let whole = &whole[leading..];
        let fraction_leading =
            if whole.is_empty() { fraction.iter().take_while(|digit| **digit == b'0').count() } else { 0 };
        let fraction = &fraction[fraction_leading..];
        let digits = whole.iter().chain(fraction);
        let trailing = digits.clone().rev().take_while(|digit| **digit == b'0').count();
        let count = whole.len() + fraction.len() - trailing;
        if count == 0 {
            return Self { negative: false, magnitude: Magnitude::Short(0), exponent: 0 };
        }
        exponent += i64::try_from(trailing).unwrap_or(EXPONENT_LIMIT);
        let digits = digits.take(count);
        let magnitude = if count <= SHORT_DIGITS {
            Magnitude::Short(digits.fold(0, |value, digit| value * 10 + u128::from(digit - b'0')))
        } else {
            Magnitude::Long(digits.copied().collect())
        };
        Self { negative, magnitude, exponent }
    }

    /// Whether the number is zero, of either sign.
    pub fn is_zero(&self) -> bool {
        self.magnitude == Magnitude::Short(0)
    }

    /// Digits after the decimal point, trailing zeros aside.
    pub fn fraction_digits(&self) -> u64 {
        self.exponent.min(0).unsigned_abs()
    }

    fn digit_count(&self) -> usize {
        match &self.magnitude {
            Magnitude::Short(value) => value.checked_ilog10().map_or(0, |log| log as usize + 1),
            Magnitude::Long(digits) => digits.len(),
        }
    }

    /// The power of ten just above the number's size.
    fn size(&self) -> i64 {
        self.exponent + i64::try_from(self.digit_count()).unwrap_or(EXPONENT_LIMIT)
    }

    /// The number times `10^scale`, where that is whole and fits.
    fn scaled(&self, scale: u8, digits: u8) -> Result<i128, NotKept> {
        if self.is_zero() {
            return Ok(0);
        }
        let exponent = self.exponent + i64::from(scale);
        if self.is_larger_than_decimal(digits, scale) {
            return Err(NotKept::Range);
        }
        if exponent < 0 {
            return Err(NotKept::Precision);
        }
        let Magnitude::Short(value) = self.magnitude else {
            return Err(NotKept::Range);
        };
        let power = u32::try_from(exponent).map_err(|_| NotKept::Range)?;
        let scaled = 10_u128
            .checked_pow(power)
            .and_then(|power| value.checked_mul(power))
            .and_then(|value| i128::try_from(value).ok())
            .ok_or(NotKept::Range)?;
        Ok(if self.negative { -scaled } else { scaled })
    }

    /// Whether a decimal of `precision` digits, `scale` of them after the point, has too few before it.
    pub fn is_larger_than_decimal(&self, precision: u8, scale: u8) -> bool {
        !self.is_zero() && self.size() + i64::from(scale) > i64::from(precision)
    }

    /// The number as an unscaled decimal of `precision` digits, `scale` of them after the point.
    ///
    /// # Errors
    /// [`NotKept::Precision`] for more digits after the point, [`NotKept::Range`] for more before.
    pub fn to_decimal(&self, precision: u8, scale: u8) -> Result<i128, NotKept> {
        if !self.is_zero() && self.exponent < -i64::from(scale) {
            return Err(NotKept::Precision);
        }
        self.scaled(scale, precision)
    }

    /// The number as an int64.
    ///
    /// # Errors
    /// [`NotKept::NotWhole`] for a fraction, [`NotKept::Range`] beyond int64.
    pub fn to_integer(&self) -> Result<i64, NotKept> {
        if self.exponent < 0 {
            return Err(NotKept::NotWhole);
        }
        let value = self.scaled(0, 19)?;
        i64::try_from(value).map_err(|_| NotKept::Range)
    }

    /// The float64 whose shortest form has exactly this value. `literal` is the text that the number
    /// was read from.
    ///
    /// # Errors
    /// [`NotKept::Precision`] where float64 would keep another number, [`NotKept::Range`] beyond it.
    pub fn to_float(&self, literal: &str) -> Result<f64, NotKept> {
        if let Some(float) = self.short_float() {
            return Ok(float);
        }
        let Ok(float) = literal.parse::<f64>() else {
            return Err(NotKept::Range);
        };
        if float.is_infinite() {
            return Err(NotKept::Range);
        }
        let safe = self.digit_count() <= SAFE_FLOAT_DIGITS && self.size().abs() < SAFE_FLOAT_MAGNITUDE;
        // Where two shortest forms are equally near, libraries write one or the other.
        let is_shortest = || {
            *self == Self::of_literal(zmij::Buffer::new().format_finite(float).as_bytes())
                || *self == Self::of_literal(format!("{float:e}").as_bytes())
        };
        if safe || is_shortest() { Ok(float) } else { Err(NotKept::Precision) }
    }

    /// The float64 that is nearest. `literal` is the text that the number was read from.
    pub(crate) fn nearest_float(&self, literal: &str) -> f64 {
        self.short_float().unwrap_or_else(|| literal.parse().unwrap_or(f64::NAN))
    }

    /// As [`ShortNumber::exact_float`], for a number that may end in zeros. Zero is left to the literal,
    /// which may have a sign.
    fn short_float(&self) -> Option<f64> {
        let Magnitude::Short(value @ 1..) = self.magnitude else { return None };
        let (digits, exponent) = (u64::try_from(value).ok()?, i32::try_from(self.exponent).ok()?);
        ShortNumber { negative: self.negative, digits, exponent }.exact_float()
    }

    fn compare_magnitudes(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        self.size().cmp(&other.size()).then_with(|| self.digit_text().as_bytes().cmp(other.digit_text().as_bytes()))
    }

    fn digit_text(&self) -> String {
        match &self.magnitude {
            Magnitude::Short(value) => value.to_string(),
            Magnitude::Long(digits) => digits.iter().map(|digit| char::from(*digit)).collect(),
        }
    }
}

impl PartialOrd for ExactNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ExactNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.compare_magnitudes(other),
            (true, true) => other.compare_magnitudes(self),
        }
    }
}

/// Plain notation, or scientific where plain would need many zeros.
impl fmt::Display for ExactNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digit_text();
        let sign = if self.negative { "-" } else { "" };
        let size = self.size();
        match self.exponent {
            0 => write!(formatter, "{sign}{digits}"),
            exponent @ 1..=21 => {
                let zeros = usize::try_from(exponent).unwrap_or_default();
                write!(formatter, "{sign}{digits}{}", "0".repeat(zeros))
            }
            _ if (1..=21).contains(&size) => {
                let (whole, fraction) = digits.split_at(usize::try_from(size).unwrap_or_default());
                write!(formatter, "{sign}{whole}.{fraction}")
            }
            _ if (-6..=0).contains(&size) => {
                let zeros = usize::try_from(-size).unwrap_or_default();
                write!(formatter, "{sign}0.{}{digits}", "0".repeat(zeros))
            }
            exponent => write!(formatter, "{sign}{digits}e{exponent}"),
        }
    }
}

impl Serialize for ExactNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExactNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).ok_or_else(|| D::Error::custom("expected a number"))
    }
}

impl schemars::JsonSchema for ExactNumber {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ExactNumber".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number" })
    }
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(EXPONENT_LIMIT)
}

/// Whether the whole text is one number of the JSON grammar.
fn is_json_number(text: &[u8]) -> bool {
    matches!(super::json::number_end(text, 0), Ok(end) if end == text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> ExactNumber {
        ExactNumber::parse(text).unwrap()
    }

    #[test]
    fn literals_of_one_value_are_equal() {
        for (left, right) in [("1e3", "1000.0"), ("0.10", "1e-1"), ("0", "-0.00"), ("120", "12e1")] {
            assert_eq!(number(left).cmp(&number(right)), Ordering::Equal, "{left} {right}");
        }
    }

    #[test]
    fn order_is_by_exact_value() {
        let ordered = [
            "-1e400",
            "-2",
            "-1.5",
            "0",
            "1e-400",
            "0.1",
            "0.10000000000000000000000000000000000000000001",
            "0.2",
            "9",
            "9007199254740993",
            "9007199254740993.5",
            "1e22",
        ];
        for pair in ordered.windows(2) {
            assert_eq!(number(pair[0]).cmp(&number(pair[1])), Ordering::Less, "{pair:?}");
        }
    }

    #[test]
    fn integers_are_whole_values_within_int64() {
        fn check(text: &str, expected: Result<i64, NotKept>) {
            assert_eq!(number(text).to_integer(), expected, "{text}");
        }
        check("5", Ok(5));
        check("5.0", Ok(5));
        check("1e3", Ok(1000));
        check("-0", Ok(0));
        check("0e999999999999999999999", Ok(0));
        check("9223372036854775807", Ok(i64::MAX));
        check("-9223372036854775808", Ok(i64::MIN));
        check("9223372036854775808", Err(NotKept::Range));
        check("1e400", Err(NotKept::Range));
        check("1.5", Err(NotKept::NotWhole));
        check("1e-400", Err(NotKept::NotWhole));
    }

    #[test]
    fn floats_are_kept_only_where_their_shortest_form_has_the_value() {
        fn check(text: &str, expected: Result<f64, NotKept>) {
            assert_eq!(number(text).to_float(text), expected, "{text}");
        }
        check("0.87", Ok(0.87));
        check("1e-3", Ok(0.001));
        check("9007199254740992", Ok(9_007_199_254_740_992.0));
        check("9007199254740993", Err(NotKept::Precision));
        check("0.12345678901234567890123", Err(NotKept::Precision));
        check("5e-324", Ok(5e-324));
        // Equally near, as Python and as Rust write them; and one that is neither.
        check("1125899906842624.2", Ok(1_125_899_906_842_624.3));
        check("1125899906842624.3", Ok(1_125_899_906_842_624.3));
        check("1125899906842624.26", Err(NotKept::Precision));
        check("8388608.000976562", Ok(8_388_608.000_976_563));
        check("4e-324", Err(NotKept::Precision));
        check("1e-400", Err(NotKept::Precision));
        check("1e400", Err(NotKept::Range));
        check("1.7976931348623157e308", Ok(f64::MAX));
        check("0.1000000000000000055511151231257827", Err(NotKept::Precision));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        fn check(text: &str, precision: u8, scale: u8, expected: Result<i128, NotKept>) {
            assert_eq!(number(text).to_decimal(precision, scale), expected, "{text}");
        }
        check("0.870", 9, 6, Ok(870_000));
        check("-1.5", 4, 2, Ok(-150));
        check("1.005", 4, 2, Err(NotKept::Precision));
        check("100", 4, 2, Err(NotKept::Range));
        check("99.99", 4, 2, Ok(9_999));
        check("0", 4, 2, Ok(0));
        check("99999999999999999999999999999999999999", 38, 0, Ok(10_i128.pow(38) - 1));
        check("1e38", 38, 0, Err(NotKept::Range));
        check("1e-1000", 38, 38, Err(NotKept::Precision));
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in ["", "007", "+1", "1.", ".5", "1e", "NaN", "0x1", " 1", "1 ", "--1", "1e+"] {
            assert_eq!(ExactNumber::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_written_form_has_the_same_value(text in "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,45})?([eE][+-]?[0-9]{1,3})?") {
            let value = number(&text);
            prop_assert_eq!(number(&value.to_string()).cmp(&value), Ordering::Equal);
        }

        #[test]
        fn short_literals_are_read_as_any_other(text in "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,19})?([eE][+-]?[0-9]{1,6})?") {
            let expected = ExactNumber::of_any_literal(text.as_bytes());
            prop_assert_eq!(ExactNumber::of_literal(text.as_bytes()), expected.clone());
            if let Some(float) = expected.short_float() {
                prop_assert_eq!(Ok(float), text.parse::<f64>());
            }
            let Some(short) = ShortNumber::of_literal(text.as_bytes()) else { return Ok(()) };
            prop_assert_eq!(short.fraction_digits(), expected.fraction_digits());
            if let Some(float) = short.exact_float() {
                prop_assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(Ok(float), expected.to_float(&text));
            }
            if let Some(float) = short.shortest_float(&text) {
                prop_assert_eq!(float.to_bits(), text.parse::<f64>().unwrap().to_bits());
                prop_assert_eq!(Ok(float), expected.to_float(&text));
            }
            if let Some(integer) = short.integer() {
                prop_assert_eq!(Ok(integer), expected.to_integer());
            }
        }

        #[test]
        fn every_float_is_kept(float in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            for text in [float.to_string(), format!("{float:e}")] {
                prop_assert_eq!(number(&text).to_float(&text), Ok(float));
            }
        }
    }
}
