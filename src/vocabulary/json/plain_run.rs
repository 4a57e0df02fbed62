//! The bytes of a string that mean themselves: most of what a page consists of.

use wide::u8x16;

/// How many bytes at the start are neither quote, backslash nor control character.
#[inline(always)]
pub fn plain_run(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = ends_in_block(*block);
        if ends != 0 {
            return at + ends.trailing_zeros() as usize;
        }
        at += BLOCK;
    }
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let ends = ends_in_word(u64::from_le_bytes(*word));
        if ends != 0 {
            return at + (ends.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)).count()
}

const BLOCK: usize = 16;

/// A bit for each byte that is no plain one.
#[inline]
fn ends_in_block(block: [u8; BLOCK]) -> u32 {
    let bytes = u8x16::new(block);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (quote | backslash | control).to_bitmask()
}

/// The high bit of the first byte that is no plain one, and perhaps of later ones: the classic test
/// for a zero or a small byte in a word.
#[inline]
fn ends_in_word(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let quote = has_zero(word ^ (ONES * u64::from(b'"')));
    let backslash = has_zero(word ^ (ONES * u64::from(b'\\')));
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    // A borrow can mark bytes behind a found one, never before: the first mark is true.
    quote | backslash | control
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_run_ends_at_the_first_byte_that_is_not_plain(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'a'), Just(b' '), Just(0x80), Just(0x7f)], 0..70)) {
            let expected = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)).unwrap_or(bytes.len());
            prop_assert_eq!(plain_run(&bytes), expected);
        }
    }
}
