//! A strict scanner: finds the end of a value, refuses what is not JSON.

use super::plain_run::plain_run;

/// A place in a text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}")]
pub struct SyntaxError {
    /// The byte's place in the scanned text.
    pub at: usize,
}

const OBJECT: u8 = b'}';
const ARRAY: u8 = b']';

/// The first place at or after `at` that is not JSON whitespace.
#[inline]
pub fn skip_whitespace(bytes: &[u8], mut at: usize) -> usize {
    // One comparison where there is none.
    while let Some(byte) = bytes.get(at).filter(|byte| **byte <= b' ') {
        if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            break;
        }
        at += 1;
    }
    at
}

/// Tells where strings end.
pub trait StringEnds {
    /// Past the closing quote of the string that begins at `at`.
    ///
    /// # Errors
    /// The place of the first byte that breaks the grammar.
    fn string_end(&self, bytes: &[u8], at: usize) -> Result<usize, SyntaxError>;
}

/// Looks through each string when it comes to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanned;

impl StringEnds for Scanned {
    #[inline]
    fn string_end(&self, bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
        string_end(bytes, at).map(|(end, _)| end)
    }
}

/// The end of the value that begins at `at`, and how deep containers nest in it (0 for a scalar).
/// It needs no recursion: depth costs a bit of memory a level.
///
/// # Errors
/// The place of the first byte that breaks the grammar.
#[inline]
pub fn value_end(bytes: &[u8], at: usize) -> Result<(usize, usize), SyntaxError> {
    value_end_by(&Scanned, bytes, at)
}

/// As [`value_end`], for a text that knows where its strings end.
///
/// # Errors
/// As [`value_end`].
#[inline]
pub fn value_end_by(strings: &impl StringEnds, bytes: &[u8], at: usize) -> Result<(usize, usize), SyntaxError> {
    let at = skip_whitespace(bytes, at);
    match bytes.get(at) {
        Some(b'{' | b'[') => container_end(strings, bytes, at),
        _ => Ok((scalar_end(strings, bytes, at)?, 0)),
    }
}

/// The containers that are open, a bit for each: whether it is an object.
#[derive(Debug, Default)]
struct OpenContainers {
    innermost: u64,
    depth: usize,
    /// Those around the innermost, 64 at a time.
    outer: Vec<u64>,
}

impl OpenContainers {
    #[inline]
    fn open(&mut self, is_object: bool) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.innermost);
        }
        self.innermost = self.innermost << 1 | u64::from(is_object);
        self.depth += 1;
    }

    #[inline]
    fn close(&mut self) {
        self.depth -= 1;
        self.innermost >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.innermost = self.outer.pop().unwrap_or_default();
        }
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.innermost & 1 == 1
    }

    #[inline]
    fn closer(&self) -> u8 {
        if self.in_object() { OBJECT } else { ARRAY }
    }
}

fn container_end(strings: &impl StringEnds, bytes: &[u8], mut at: usize) -> Result<(usize, usize), SyntaxError> {
    let mut open = OpenContainers::default();
    let mut deepest = 0;
    loop {
        // One value begins here; a container only opens, and its first element is the next value.
        match bytes.get(at) {
            Some(opener @ (b'{' | b'[')) => {
                open.open(*opener == b'{');
                deepest = deepest.max(open.depth);
                at = skip_whitespace(bytes, at + 1);
                if bytes.get(at) != Some(&open.closer()) {
                    if open.in_object() {
                        at = key_end(strings, bytes, at)?;
                    }
                    continue;
                }
                open.close();
                at += 1;
            }
            _ => at = scalar_end(strings, bytes, at)?,
        }
        // A value has ended: close what ends with it, or go on to the next element.
        loop {
            if open.depth == 0 {
                return Ok((at, deepest));
            }
            at = skip_whitespace(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = skip_whitespace(bytes, at + 1);
                    if open.in_object() {
                        at = key_end(strings, bytes, at)?;
                    }
                    break;
                }
                Some(byte) if *byte == open.closer() => {
                    open.close();
                    at += 1;
                }
                _ => return Err(SyntaxError { at }),
            }
        }
    }
}

/// How many keys a text that follows the grammar has, at all levels together.
pub fn key_count(bytes: &[u8]) -> usize {
    // A colon that is no key's is inside of a string.
    let mut count = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'"' => string_end(bytes, at).map_or(bytes.len(), |(end, _)| end),
            _ => at + 1,
        };
        count += usize::from(*byte == b':');
    }
    count
}

/// Past a key, its colon and the whitespace after it.
#[inline]
fn key_end(strings: &impl StringEnds, bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let at = skip_whitespace(bytes, strings.string_end(bytes, at)?);
    if bytes.get(at) != Some(&b':') {
        return Err(SyntaxError { at });
    }
    Ok(skip_whitespace(bytes, at + 1))
}

#[inline]
fn scalar_end(strings: &impl StringEnds, bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at) {
        Some(b'"') => strings.string_end(bytes, at),
        Some(b't') => word_end(bytes, at, b"true"),
        Some(b'f') => word_end(bytes, at, b"false"),
        Some(b'n') => word_end(bytes, at, b"null"),
        _ => number_end(bytes, at),
    }
}

fn word_end(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, SyntaxError> {
    let end = at + word.len();
    if bytes.get(at..end) == Some(word) { Ok(end) } else { Err(SyntaxError { at }) }
}

/// The end of the number that begins at `at`.
///
/// # Errors
/// Where there is no number of the grammar.
#[inline]
pub fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, SyntaxError> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        Some(b'1'..=b'9') => digits_end(bytes, at)?,
        _ => return Err(SyntaxError { at }),
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

#[inline]
fn digits_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let mut end = at;
    while let Some(b'0'..=b'9') = bytes.get(end) {
        end += 1;
    }
    if end == at { Err(SyntaxError { at }) } else { Ok(end) }
}

/// Past the closing quote of the string that begins at `at`, and whether nothing in it is escaped.
/// Whether its bytes are UTF-8 is the caller's to check, once for a whole page.
#[inline]
pub(super) fn string_end(bytes: &[u8], at: usize) -> Result<(usize, bool), SyntaxError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(SyntaxError { at });
    }
    let mut at = at + 1;
    let mut is_plain = true;
    loop {
        at += plain_run(&bytes[at..]);
        match bytes.get(at) {
            Some(b'"') => return Ok((at + 1, is_plain)),
            Some(b'\\') => {
                is_plain = false;
                at = escape_end(bytes, at)?;
            }
            _ => return Err(SyntaxError { at }),
        }
    }
}

pub(super) fn escape_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            // All four, for which are there cannot be foretold.
            Some(hex) if hex.iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit()) => Ok(at + 6),
            _ => Err(SyntaxError { at }),
        },
        _ => Err(SyntaxError { at }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_json(text: &[u8]) -> bool {
        value_end(text, 0).is_ok_and(|(end, _)| skip_whitespace(text, end) == text.len())
    }

    #[test]
    fn keys_are_counted_at_all_levels_and_colons_of_texts_are_not() {
        assert_eq!(key_count(br#"{"a":{"b:\":":[{"c" : ":"}]},"d":1}"#), 4);
        assert_eq!(key_count(b"[1,2]"), 0);
    }

    #[test]
    fn the_grammar_is_kept_strictly() {
        for text in [
            "{}",
            "[]",
            "[[],{}]",
            " { \"a\" : [ 1 , -0.5e+3, true,false,null ] } ",
            "\"\\u00e9\\n\"",
            "0",
            "-0",
            "1E5",
            "{\"\":{}}",
            "[1,[2,[3]]]",
        ] {
            assert!(is_json(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "007",
            "NaN",
            "Infinity",
            "+1",
            "1.",
            "'a'",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"",
            "[1 2]",
            "{\"a\" 1}",
            "tru",
            "[}",
            "{\"a\":1]",
            "1 1",
        ] {
            assert!(!is_json(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn depth_is_counted_without_recursion() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(value_end(deep.as_bytes(), 0), Ok((200_000, 100_000)));
        assert_eq!(value_end(b"{\"a\":[1]}", 0), Ok((9, 2)));
        assert_eq!(value_end(b"1", 0), Ok((1, 0)));
        let (opened, closed) = (r#"{"a":["#.repeat(100), "]}".repeat(100));
        assert_eq!(value_end(format!("{opened}{closed}").as_bytes(), 0), Ok((800, 200)));
        for at in 0..closed.len() {
            let mut other = closed.clone();
            other.replace_range(at..=at, if at % 2 == 0 { "}" } else { "]" });
            assert_eq!(value_end(format!("{opened}{other}").as_bytes(), 0), Err(SyntaxError { at: 600 + at }));
        }
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_serde_json(text in "[\\[\\]{}\",:0-9eE+\\-. a-f\\\\untrls\u{1}]{0,24}") {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(is_json(text.as_bytes()), theirs, "{}", text);
        }

        #[test]
        fn strings_end_where_serde_json_ends_them(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(value_end(written.as_bytes(), 0), Ok((written.len(), 0)));
        }
    }
}
