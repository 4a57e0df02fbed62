//! A key as most tenants send it.

use wide::u8x16;

/// A key behind the comma or the brace before it, with its quotes and colon and nothing between.
#[derive(Clone, Debug)]
pub(super) struct SentKey {
    /// From the first quote to the colon.
    text: String,
    /// What begins a text that goes on with the key, the byte before it included, as far as a window goes.
    window: [u8; WINDOW],
    /// The bytes of the window that are the key's.
    relevant: u32,
}

const LANES: usize = 16;
const WINDOW: usize = 2 * LANES;

impl SentKey {
    /// A key that is written as it is meant.
    pub(super) fn of(key: &str) -> Self {
        let text = format!("\"{key}\":");
        let mut window = [0; WINDOW];
        let shown = text.len().min(WINDOW - 1);
        window[1..=shown].copy_from_slice(&text.as_bytes()[..shown]);
        Self { window, relevant: u32::MAX >> (WINDOW - 1 - shown) & !1, text }
    }

    /// What stands between its quotes.
    pub(super) fn key(&self) -> &str {
        &self.text[1..self.text.len() - 2]
    }

    /// Where its value may begin, where it stands behind the byte at `at`.
    #[inline(always)]
    pub(super) fn value_behind(&self, bytes: &[u8], at: usize) -> Option<usize> {
        let text = bytes.get(at..)?;
        let is_there = match text.first_chunk() {
            Some(window) if self.text.len() < WINDOW => self.is_in(window),
            _ => text.get(1..).is_some_and(|text| text.starts_with(self.text.as_bytes())),
        };
        is_there.then(|| at + 1 + self.text.len())
    }

    #[inline(always)]
    fn is_in(&self, window: &[u8; WINDOW]) -> bool {
        let equal = |lane: usize| {
            let lanes = |bytes: &[u8; WINDOW]| u8x16::new(bytes.as_chunks::<LANES>().0[lane]);
            lanes(window).simd_eq(lanes(&self.window)).to_bitmask()
        };
        (equal(0) | equal(1) << LANES) & self.relevant == self.relevant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_behind_any_byte_and_only_whole() {
        fn check(key: &str, text: &str, expected: Option<usize>) {
            for rest in ["", "1,\"a long enough text behind the key\":2"] {
                let text = format!("{text}{rest}");
                assert_eq!(SentKey::of(key).value_behind(text.as_bytes(), 1), expected, "{key} in {text}");
            }
        }
        for key in [
            "a",
            "twenty-eight characters here",
            "twenty-nine characters or so.",
            "a key that is longer than a window of bytes",
        ] {
            let value = Some(key.len() + 5);
            check(key, &format!("1,\"{key}\":"), value);
            check(key, &format!("1{{\"{key}\":"), value);
            check(key, &format!("1,\"{key}\" :"), None);
            check(key, &format!("1,\"{key}x\":"), None);
            check(key, &format!("1,\"x{key}\":"), None);
            check(key, &format!("1, \"{key}\":"), None);
        }
        assert_eq!(SentKey::of("a").value_behind(b"{\"a\"", 0), None);
        assert_eq!(SentKey::of("a").value_behind(b"", 7), None);
    }
}
