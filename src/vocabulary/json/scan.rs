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
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`, and how deep containers nest in it (0 for a scalar).
/// It needs no recursion: depth costs a byte of memory a level.
///
/// # Errors
/// The place of the first byte that breaks the grammar.
#[inline]
pub fn value_end(bytes: &[u8], at: usize) -> Result<(usize, usize), SyntaxError> {
    let at = skip_whitespace(bytes, at);
    match bytes.get(at) {
        Some(b'{' | b'[') => container_end(bytes, at),
        _ => Ok((scalar_end(bytes, at)?, 0)),
    }
}

fn container_end(bytes: &[u8], mut at: usize) -> Result<(usize, usize), SyntaxError> {
    let mut open: Vec<u8> = Vec::new();
    let mut deepest = 0;
    loop {
        // One value begins here; a container only opens, and its first element is the next value.
        match bytes.get(at) {
            Some(b'{') => {
                open.push(OBJECT);
                deepest = deepest.max(open.len());
                at = skip_whitespace(bytes, at + 1);
                if bytes.get(at) != Some(&OBJECT) {
                    at = key_end(bytes, at)?;
                    continue;
                }
                open.pop();
                at += 1;
            }
            Some(b'[') => {
                open.push(ARRAY);
                deepest = deepest.max(open.len());
                at = skip_whitespace(bytes, at + 1);
                if bytes.get(at) != Some(&ARRAY) {
                    continue;
                }
                open.pop();
                at += 1;
            }
            _ => at = scalar_end(bytes, at)?,
        }
        // A value has ended: close what ends with it, or go on to the next element.
        loop {
            let Some(closer) = open.last() else {
                return Ok((at, deepest));
            };
            at = skip_whitespace(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = skip_whitespace(bytes, at + 1);
                    if *closer == OBJECT {
                        at = key_end(bytes, at)?;
                    }
                    break;
                }
                Some(byte) if byte == closer => {
                    open.pop();
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
fn key_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    let at = skip_whitespace(bytes, string_end(bytes, at)?.0);
    if bytes.get(at) != Some(&b':') {
        return Err(SyntaxError { at });
    }
    Ok(skip_whitespace(bytes, at + 1))
}

fn scalar_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at) {
        Some(b'"') => string_end(bytes, at).map(|(end, _)| end),
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

fn escape_end(bytes: &[u8], at: usize) -> Result<usize, SyntaxError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match bytes.get(at + 2..at + 6) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
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
