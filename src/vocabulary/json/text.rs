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
    let mut at = plain_run(raw.as_bytes());
    text.push_str(&raw[..at]);
    // In a string of the grammar only an escape and the closing quote end a plain run.
    while let Some(b'\\') = raw.as_bytes().get(at) {
        let (character, after) = decode_escape(&raw[at + 1..])?;
        text.push(character);
        let run = plain_run(after.as_bytes());
        text.push_str(&after[..run]);
        at = raw.len() - after.len() + run;
    }
    Ok(at)
}

/// The character of an escape, and the text after it.
fn decode_escape(escape: &str) -> Result<(char, &str), LoneSurrogate> {
    let character = match escape.as_bytes().first() {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unicode_escape(&escape[1..]),
        Some(other) if other.is_ascii() => char::from(*other),
        _ => return Err(LoneSurrogate),
    };
    Ok((character, &escape[1..]))
}

fn decode_unicode_escape(hex: &str) -> Result<(char, &str), LoneSurrogate> {
    let (unit, rest) = code_unit(hex).ok_or(LoneSurrogate)?;
    if let Some(character) = char::from_u32(unit) {
        return Ok((character, rest));
    }
    let (low, rest) = rest.strip_prefix("\\u").and_then(code_unit).ok_or(LoneSurrogate)?;
    if !(0xD800..0xDC00).contains(&unit) || !(0xDC00..0xE000).contains(&low) {
        return Err(LoneSurrogate);
    }
    let scalar = 0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    char::from_u32(scalar).map(|character| (character, rest)).ok_or(LoneSurrogate)
}

fn code_unit(hex: &str) -> Option<(u32, &str)> {
    let (digits, rest) = hex.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
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
        fn written_strings_are_read_back(text in any::<String>()) {
            let mut written = String::new();
            append_string(&mut written, &text);
            prop_assert_eq!(&serde_json::from_str::<String>(&written).unwrap(), &text);
            let raw = &written[1..written.len() - 1];
            prop_assert_eq!(decode_string(raw).unwrap(), text);
        }
    }
}
