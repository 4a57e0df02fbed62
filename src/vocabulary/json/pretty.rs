//! JSON with line breaks, every value's text exactly as it was.

use std::ops::Range;

use super::object::{array_elements, object_fields};
use super::scan::{skip_whitespace, value_end};
use super::text::{decode_string, pointer_token};

/// Containers that nest deeper are not laid out.
const MOST_LEVELS: usize = 64;

/// How one value is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// What stands in its place.
    pub instead: Option<String>,
    /// What is said of it, behind it.
    pub notes: Vec<String>,
}

/// Lays out a text. `shown` says for each value, by its JSON Pointer, how it is shown. `None` where
/// the text is no JSON or nests too deep.
pub fn pretty(text: &str, shown: &mut impl FnMut(&str) -> Shown) -> Option<String> {
    let (end, depth) = value_end(text.as_bytes(), 0).ok()?;
    if depth > MOST_LEVELS || skip_whitespace(text.as_bytes(), end) != text.len() {
        return None;
    }
    let mut layout = Layout { text, out: String::with_capacity(text.len() * 2), shown };
    let start = skip_whitespace(text.as_bytes(), 0);
    layout.value(start..end, "", 0, "");
    Some(layout.out)
}

struct Layout<'a, F> {
    text: &'a str,
    out: String,
    shown: &'a mut F,
}

impl<F: FnMut(&str) -> Shown> Layout<'_, F> {
    /// Writes a value, a comma if there is one, and what is said of the value at the end of its line.
    fn value(&mut self, range: Range<usize>, pointer: &str, level: usize, comma: &str) {
        let Shown { instead, notes } = (self.shown)(pointer);
        let raw = &self.text[range.clone()];
        let note: String = notes.iter().map(|note| format!("   <-- {note}")).collect();
        match (instead, raw.as_bytes().first()) {
            (Some(instead), _) => self.out.push_str(&format!("{instead}{comma}{note}\n")),
            (None, Some(b'{')) => self.object(range, pointer, level, comma, &note),
            (None, Some(b'[')) => self.array(range, pointer, level, comma, &note),
            (None, _) => self.out.push_str(&format!("{raw}{comma}{note}\n")),
        }
    }

    fn object(&mut self, range: Range<usize>, pointer: &str, level: usize, comma: &str, note: &str) {
        let fields: Vec<_> = object_fields(self.text.as_bytes(), range.start).flatten().collect();
        self.open('{', note);
        for (index, field) in fields.iter().enumerate() {
            let raw_key = &self.text[field.key.clone()];
            let key = decode_string(raw_key).unwrap_or(raw_key.into());
            let pointer = format!("{pointer}/{}", pointer_token(&key));
            self.indent(level + 1);
            self.out.push_str(&format!("\"{raw_key}\": "));
            self.value(field.value.clone(), &pointer, level + 1, if index + 1 < fields.len() { "," } else { "" });
        }
        self.close('}', level, comma);
    }

    fn array(&mut self, range: Range<usize>, pointer: &str, level: usize, comma: &str, note: &str) {
        let elements: Vec<_> = array_elements(self.text.as_bytes(), range.start).flatten().collect();
        self.open('[', note);
        for (index, element) in elements.iter().enumerate() {
            self.indent(level + 1);
            let comma = if index + 1 < elements.len() { "," } else { "" };
            self.value(element.clone(), &format!("{pointer}/{index}"), level + 1, comma);
        }
        self.close(']', level, comma);
    }

    fn open(&mut self, bracket: char, note: &str) {
        self.out.push_str(&format!("{bracket}{note}\n"));
    }

    fn close(&mut self, bracket: char, level: usize, comma: &str) {
        self.indent(level);
        self.out.push_str(&format!("{bracket}{comma}\n"));
    }

    fn indent(&mut self, level: usize) {
        self.out.push_str(&"  ".repeat(level));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text_and_are_marked_by_their_pointers() {
        let text = r#"{"a":1.50,"b\/c":[1e3,{"d":"x"}],"secret":{"e":[1]}}"#;
        let laid_out = pretty(text, &mut |pointer| match pointer {
            "/a" => Shown { notes: vec!["too large".to_owned()], ..Shown::default() },
            "/secret" => Shown { instead: Some("\"***\"".to_owned()), ..Shown::default() },
            "/b~1c/1/d" => Shown { notes: vec!["here".to_owned()], ..Shown::default() },
            _ => Shown::default(),
        });
        let expected = "{\n  \"a\": 1.50,   <-- too large\n  \"b\\/c\": [\n    1e3,\n    {\n      \"d\": \"x\"   <-- here\n    }\n  ],\n  \"secret\": \"***\"\n}\n";
        assert_eq!(laid_out.as_deref(), Some(expected));
        assert_eq!(pretty("{\"a\":", &mut |_| Shown::default()), None);
        assert_eq!(pretty(&format!("{}{}", "[".repeat(65), "]".repeat(65)), &mut |_| Shown::default()), None);
    }
}
