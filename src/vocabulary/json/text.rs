//! What strings mean, and how they are written.

use std::borrow::Cow;

/// An escape of half a surrogate pair: grammatical JSON, but no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("half a surrogate pair")]
pub struct LoneSurrogate;

/// The text of a string, given what stands between its quotes.
///
/// # Errors
/// Where an escape names half a surrogate pair.
pub fn decode_string(raw: &str) -> Result<Cow<'_, str>, LoneSurrogate> {
    let Some(first) = raw.find('\\') else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut text = String::with_capacity(raw.len());
    let (plain, mut rest) = raw.split_at(first);
    text.push_str(plain);
    while let Some(after) = rest.strip_prefix('\\') {
        let (character, after) = decode_escape(after)?;
        text.push(character);
        let next = after.find('\\').unwrap_or(after.len());
        let (plain, remaining) = after.split_at(next);
        text.push_str(plain);
        rest = remaining;
    }
    Ok(Cow::Owned(text))
}

/// The character of an escape, and the text after it.
fn decode_escape(escape: &str) -> Result<(char, &str), LoneSurrogate> {
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return decode_unicode_escape(characters.as_str()),
        Some(other) => other,
        None => return Err(LoneSurrogate),
    };
    Ok((character, characters.as_str()))
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
