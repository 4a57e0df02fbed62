//! Where the strings of a long text end, found 64 bytes at a time and before anything else of it is looked at.

use wide::u8x16;

use super::scan::{StringEnds, SyntaxError, escape_end};

/// The quotes of a text that begin or end strings, a bit for each byte. Between them are only characters and escapes that the
/// grammar has in strings, provided that the text follows the grammar outside of them: then the quote after a string's first
/// ends it.
#[derive(Debug)]
pub struct StringIndex {
    quotes: Vec<u64>,
}

const BLOCK: usize = 64;
const LANES: usize = 16;

/// For each byte of a block, whether it is of a kind.
struct Kinds {
    quotes: u64,
    backslashes: u64,
    controls: u64,
}

impl StringIndex {
    /// Looks through a text; `None` where it has a string that is none, or an escape outside of strings that would be none in
    /// them: it is not JSON then.
    pub fn of(text: &[u8]) -> Option<Self> {
        let mut quotes = Vec::with_capacity(text.len() / BLOCK + 1);
        let mut state = State { in_string: 0, is_escaped: 0 };
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        for (index, block) in blocks.iter().enumerate() {
            quotes.push(state.quotes(text, index * BLOCK, block)?);
        }
        let mut last = [b' '; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        quotes.push(state.quotes(text, text.len() - rest.len(), &last)?);
        (state.in_string == 0).then_some(Self { quotes })
    }
}

impl StringEnds for StringIndex {
    #[inline]
    fn string_end(&self, bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
        if bytes.get(at) != Some(&b'"') {
            return Err(SyntaxError { at });
        }
        let after = at + 1;
        let (mut word, bit) = (after / BLOCK, after % BLOCK);
        let mut quotes = self.quotes.get(word).map_or(0, |quotes| quotes >> bit << bit);
        while quotes == 0 {
            word += 1;
            quotes = *self.quotes.get(word).ok_or(SyntaxError { at })?;
        }
        Ok(word * BLOCK + quotes.trailing_zeros() as usize + 1)
    }
}

/// What a block has to know of the one before it.
struct State {
    /// All bits where it ends within a string, else none.
    in_string: u64,
    /// The first bit where its last byte is a backslash that escapes this block's first.
    is_escaped: u64,
}

impl State {
    #[inline]
    fn quotes(&mut self, text: &[u8], start: usize, block: &[u8; BLOCK]) -> Option<u64> {
        let Kinds { mut quotes, backslashes, controls } = kinds(block);
        if backslashes | self.is_escaped != 0 {
            quotes &= !self.escaped(text, start, backslashes)?;
        }
        // From each opening quote to before its closing one.
        let within = prefix_xor(quotes) ^ self.in_string;
        self.in_string = 0_u64.wrapping_sub(within >> (BLOCK - 1));
        (controls & within == 0).then_some(quotes)
    }

    /// The bytes of a block that are part of an escape, but not its first.
    fn escaped(&mut self, text: &[u8], start: usize, backslashes: u64) -> Option<u64> {
        let mut escaped = self.is_escaped;
        self.is_escaped = 0;
        let mut escapes = backslashes & !escaped;
        while escapes != 0 {
            let at = escapes.trailing_zeros();
            escape_end(text, start + at as usize).ok()?;
            let next = 2_u64.checked_shl(at).filter(|next| *next != 0);
            escaped |= next.unwrap_or_default();
            self.is_escaped = u64::from(next.is_none());
            // The next byte is no escape's first any more.
            escapes &= !(3 << at);
        }
        Some(escaped)
    }
}

#[inline]
fn kinds(block: &[u8; BLOCK]) -> Kinds {
    let mut kinds = Kinds { quotes: 0, backslashes: 0, controls: 0 };
    for (lane, bytes) in block.as_chunks::<LANES>().0.iter().enumerate() {
        let bytes = u8x16::new(*bytes);
        let shifted = |is: u8x16| u64::from(is.to_bitmask()) << (lane * LANES);
        kinds.quotes |= shifted(bytes.simd_eq(u8x16::splat(b'"')));
        kinds.backslashes |= shifted(bytes.simd_eq(u8x16::splat(b'\\')));
        kinds.controls |= shifted(bytes.min(u8x16::splat(0x1f)).simd_eq(bytes));
    }
    kinds
}

/// Each bit is the parity of those up to it.
#[inline]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::scan::{Scanned, value_end, value_end_by};
    use super::*;

    #[test]
    fn strings_end_at_their_quotes_and_others_are_none() {
        fn check(text: &str, expected: Option<usize>) {
            // At every place relative to the blocks.
            for spaces in 0..2 * BLOCK {
                let padded = format!("{}{text}", " ".repeat(spaces));
                let end = StringIndex::of(padded.as_bytes())
                    .and_then(|index| index.string_end(padded.as_bytes(), spaces).ok());
                assert_eq!(end, expected.map(|end| end + spaces), "{text:?} after {spaces}");
            }
        }
        check(r#""""#, Some(2));
        check(r#""a\"b\\" "c""#, Some(8));
        check(r#""\\\"\\\\\"" x"#, Some(12));
        check(&format!("\"{}\\\\\"", "x".repeat(200)), Some(204));
        check(r#""\u00e9\ud83d\ude00" "#, Some(20));
        check(r#""\u00g0""#, None);
        check(r#""\x""#, None);
        check("\"\n\"", None);
        check(r#""a"#, None);
        check(r#""a\""#, None);
        check(r#"a""#, None);
    }

    proptest! {
        #[test]
        fn values_end_where_a_scan_of_each_string_ends_them(
            text in "[ \n]{0,70}([\\[\\]{}\",:0-9eE+\\-. a-f\\\\untrls\u{1}]{0,24}|([\\[{]{0,2}\"(a|\\\\\"|\\\\\\\\|é|\\\\u00e9|\\\\u00g|\n){0,80}\"[:,]{0,1}){0,4}[}\\]]{0,2})",
        ) {
            let scanned = value_end(text.as_bytes(), 0).ok();
            prop_assert_eq!(value_end_by(&Scanned, text.as_bytes(), 0).ok(), scanned);
            // A text that ends well may have something else behind it.
            let end = scanned.map_or(text.len(), |(end, _)| end);
            let index = StringIndex::of(&text.as_bytes()[..end]);
            let indexed = index.and_then(|index| value_end_by(&index, &text.as_bytes()[..end], 0).ok());
            prop_assert_eq!(indexed, scanned);
        }
    }
}
