//! What strings mean, and how they are written.

use std::borrow::Cow;

use super::plain_run::plain_run;

/// An escape of half a surrogate pair: grammatical JSON, but no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("half a surrogate pair")]
pub struct LoneSurrogate;

/// The text of a string, given what stands between its quotes.
///
/// # Errors
/// Where an escape names half a surrogate pair.
pub fn decode_string(raw: &str) -> Result<Cow<'_, str>, LoneSurrogate> {
    if !raw.as_bytes().contains(&b'\\') {
        return Ok(Cow::Borrowed(raw));
    }
    let mut text = String::with_capacity(raw.len());
    append_decoded(&mut text, raw)?;
    Ok(Cow::Owned(text))
}

/// Appends the text of a string, given what stands after its opening quote, up to the closing quote or to the
/// end; how many bytes that took. After an error `text` ends with what came before the escape.
///
/// # Errors
/// Where an escape names half a surrogate pair.
#[inline]
pub fn append_decoded(text: &mut String, raw: &str) -> Result<usize, LoneSurrogate> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    loop {
        let run = plain_run(&bytes[at..]);
        text.push_str(&raw[at..at + run]);
        at += run;
        // In a string of the grammar only an escape and the closing quote end a plain run.
        if bytes.get(at) != Some(&b'\\') {
            return Ok(at);
        }
        let (character, length) = decode_escape(&bytes[at + 1..]).ok_or(LoneSurrogate)?;
        text.push(character);
        at += 1 + length;
    }
}

/// The character of the escape whose backslash stands before these bytes, and how many of them are its.
#[inline]
fn decode_escape(bytes: &[u8]) -> Option<(char, usize)> {
    let character = match bytes.first()? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let unit = code_unit(&bytes[1..])?;
            return match char::from_u32(unit) {
                Some(character) => Some((character, 5)),
                None => decode_pair(unit, &bytes[5..]).map(|character| (character, 11)),
            };
        }
        other if other.is_ascii() => char::from(*other),
        _ => return None,
    };
    Some((character, 1))
}

/// The character of a surrogate pair, given its first half and what stands behind it.
fn decode_pair(high: u32, behind: &[u8]) -> Option<char> {
    let low = code_unit(behind.strip_prefix(b"\\u")?)?;
    if !(0xD800..0xDC00).contains(&high) || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    char::from_u32(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
}

fn code_unit(bytes: &[u8]) -> Option<u32> {
    let digits: &[u8; 4] = bytes.first_chunk()?;
    digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
}

/// Writes a text as a JSON string, quotes and escapes included.
pub fn append_string(json: &mut String, text: &str) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                json.push_str(&format!("\\u{:04x}", u32::from(control)));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

/// A key as one step of a JSON Pointer (RFC 6901): `~` and `/` escaped.
pub fn pointer_token(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { Cow::Owned(key.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(key) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_mean_what_their_escapes_say() {
        fn check(raw: &str, expected: Result<&str, LoneSurrogate>) {
            assert_eq!(decode_string(raw).as_deref(), expected.as_deref(), "{raw}");
        }
        check("plain", Ok("plain"));
        check(r#"a\"\\\/\b\f\n\r\tz"#, Ok("a\"\\/\u{8}\u{c}\n\r\tz"));
        check(r"\u00e9\u0000", Ok("é\0"));
        check(r"x\ud83d\ude00y", Ok("x😀y"));
        check(r"\ud800", Err(LoneSurrogate));
        check(r"\ud800x", Err(LoneSurrogate));
        check(r"\ud800\n", Err(LoneSurrogate));
        check(r"\udc00\ud800", Err(LoneSurrogate));
        check(r"\ud83d\u0041", Err(LoneSurrogate));
    }

    proptest! {
        #[test]
        fn escapes_mean_what_serde_json_reads(raw in r#"([a-zé]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud[89ab][0-9a-f]{2}\\u[dD][c-fC-F][0-9a-f]{2}){0,9}"#) {
            let theirs: Option<String> = serde_json::from_str(&format!("\"{raw}\"")).ok();
            prop_assert_eq!(decode_string(&raw).ok().map(Cow::into_owned), theirs, "{}", raw);
        }

        #[test]
        fn written_strings_are_read_back(text in any::<String>()) {
            let mut written = String::new();
            append_string(&mut written, &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &text);
            let raw = &written[1..written.len() - 1];
            prop_assert_eq!(decode_string(raw).unwrap(), text);
        }
    }
}
