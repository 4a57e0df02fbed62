//! Numbers of few digits, the fast way.

use super::json::number_end;

/// So many digits always fit into 64 bits.
const SHORT_DIGITS: usize = 19;
/// Powers of ten that float64 holds exactly.
const EXACT_POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Whole numbers below it are all exact in float64.
const EXACT_WHOLE_LIMIT: u64 = 10_u64.pow(15);
/// Exponents beyond it are all the same to us: no type holds such a number.
pub(super) const EXPONENT_LIMIT: i64 = 1_000_000_000_000_000;

/// A literal whose digits surely fit, as it is written: `digits × 10^exponent`. Nothing is made of it
/// that [`super::ExactNumber`] would make otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShortNumber {
    pub(super) negative: bool,
    pub(super) digits: u64,
    pub(super) exponent: i32,
}

impl ShortNumber {
    /// Reads a literal that is known to follow the JSON grammar; `None` for any but the short ones.
    pub(crate) fn of_literal(literal: &[u8]) -> Option<Self> {
        Self::at(literal, 0).filter(|(_, end)| *end == literal.len()).map(|(number, _)| number)
    }

    /// Reads the number that begins at `at`, which is known to follow the JSON grammar, and where it ends; `None`
    /// for any but the short ones.
    #[inline(always)]
    pub(crate) fn at(bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        let (negative, unsigned) = match bytes.get(at..)? {
            [b'-', unsigned @ ..] => (true, unsigned),
            unsigned => (false, unsigned),
        };
        let mut digits = 0;
        let after_whole = read_digits(unsigned, &mut digits);
        let (rest, exponent) = match after_whole {
            [b'.', fraction @ ..] => {
                let rest = read_digits(fraction, &mut digits);
                (rest, -i32::try_from(fraction.len() - rest.len()).ok()?)
            }
            rest => (rest, 0),
        };
        // With the point, one more.
        if unsigned.len() - rest.len() > SHORT_DIGITS + usize::from(exponent < 0) {
            return None;
        }
        let number = Self { negative, digits, exponent };
        if let [b'e' | b'E', ..] = rest {
            number.with_exponent(bytes, at)
        } else {
            Some((number, bytes.len() - rest.len()))
        }
    }

    /// This number with the exponent of the literal at `at`, of which it is what stands before.
    #[cold]
    fn with_exponent(mut self, bytes: &[u8], at: usize) -> Option<(Self, usize)> {
        let end = number_end(bytes, at).ok()?;
        let letter = at + bytes[at..end].iter().position(|byte| matches!(byte, b'e' | b'E'))?;
        self.exponent += short_exponent(&bytes[letter + 1..end])?;
        Some((self, end))
    }

    /// The float64 of a number of so few digits that no other float64 is as near, and no other number of
    /// as few digits has it: both factors are exact, so the one operation rounds as reading the literal
    /// would (Clinger, "How to read floating point numbers accurately", 1990).
    #[inline]
    pub(crate) fn exact_float(self) -> Option<f64> {
        if self.digits >= EXACT_WHOLE_LIMIT {
            return None;
        }
        let power = EXACT_POWERS_OF_TEN.get(self.exponent.unsigned_abs() as usize)?;
        #[expect(clippy::cast_precision_loss, reason = "below the limit nothing is lost")]
        let whole = self.digits as f64;
        let float = if self.exponent < 0 { whole / power } else { whole * power };
        Some(if self.negative { -float } else { float })
    }

    /// The number as an int64, where it is whole.
    #[inline]
    pub(crate) fn integer(self) -> Option<i64> {
        let whole = if self.exponent == 0 { self.digits } else { self.whole()? };
        let whole = i64::try_from(whole).ok()?;
        Some(if self.negative { -whole } else { whole })
    }

    /// Its size, where it is whole and fits.
    #[cold]
    fn whole(self) -> Option<u64> {
        let Self { digits, exponent, .. } = self.without_trailing_zeros();
        digits.checked_mul(10_u64.checked_pow(u32::try_from(exponent).ok()?)?)
    }

    /// The same number, whose last digit is no zero.
    fn without_trailing_zeros(mut self) -> Self {
        if self.digits == 0 {
            return Self { exponent: 0, ..self };
        }
        while self.digits.is_multiple_of(10) {
            self.digits /= 10;
            self.exponent += 1;
        }
        self
    }

    /// Digits after the decimal point, trailing zeros aside.
    pub(crate) fn fraction_digits(self) -> u64 {
        u64::from(self.without_trailing_zeros().exponent.min(0).unsigned_abs())
    }

    /// The float64 that is nearest, where its shortest form has just the value of this number, which `literal` is.
    pub(crate) fn shortest_float(self, literal: &str) -> Option<f64> {
        let float: f64 = literal.parse().ok()?;
        let shortest = Self::of_literal(zmij::Buffer::new().format(float).as_bytes())?;
        (shortest.without_trailing_zeros() == self.without_trailing_zeros()).then_some(float)
    }
}

/// What stands behind the digits that a text begins with. Those that fit are added to `value`.
#[inline(always)]
fn read_digits<'a>(mut text: &'a [u8], value: &mut u64) -> &'a [u8] {
    while let [byte @ b'0'..=b'9', rest @ ..] = text {
        *value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        text = rest;
    }
    text
}

/// An exponent of so few digits that it can be added to another.
fn short_exponent(text: &[u8]) -> Option<i32> {
    if text.len() > 5 { None } else { i32::try_from(read_exponent(text)).ok() }
}

/// What an exponent says, within the limit.
pub(super) fn read_exponent(text: &[u8]) -> i64 {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let value = digits.iter().fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_LIMIT));
    if negative { -value } else { value }
}
