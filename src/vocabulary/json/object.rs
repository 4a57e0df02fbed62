//! Walks over the members of objects and arrays that are known to follow the grammar.

use std::ops::Range;

use super::scan::{SyntaxError, skip_whitespace, value_end};

/// One member of an object, as ranges of the scanned text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The key's text between its quotes, escapes as they were sent.
    pub key: Range<usize>,
    /// The value's exact text.
    pub value: Range<usize>,
}

/// The members of the object that begins at `at`, in their order. Ends after the first error.
pub fn object_fields(bytes: &[u8], at: usize) -> impl Iterator<Item = Result<Field, SyntaxError>> + '_ {
    let mut cursor = Cursor::open(bytes, at, b'{', b'}');
    std::iter::from_fn(move || cursor.next_with(|cursor| cursor.field()))
}

/// The elements of the array that begins at `at`, in their order, as ranges of the scanned text.
/// Ends after the first error.
pub fn array_elements(bytes: &[u8], at: usize) -> impl Iterator<Item = Result<Range<usize>, SyntaxError>> + '_ {
    let mut cursor = Cursor::open(bytes, at, b'[', b']');
    std::iter::from_fn(move || cursor.next_with(|cursor| cursor.value()))
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    closer: u8,
    state: State,
}

enum State {
    Unopened { opener: u8 },
    First,
    Later,
    Ended,
}

impl<'a> Cursor<'a> {
    fn open(bytes: &'a [u8], at: usize, opener: u8, closer: u8) -> Self {
        Self { bytes, at: skip_whitespace(bytes, at), closer, state: State::Unopened { opener } }
    }

    fn next_with<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, SyntaxError>,
    ) -> Option<Result<T, SyntaxError>> {
        let item = self.advance().and_then(|more| if more { read(self).map(Some) } else { Ok(None) });
        if !matches!(item, Ok(Some(_))) {
            self.state = State::Ended;
        }
        item.transpose()
    }

    /// To the start of the next member; false at the end.
    fn advance(&mut self) -> Result<bool, SyntaxError> {
        match self.state {
            State::Ended => return Ok(false),
            State::Unopened { opener } => {
                self.expect(opener)?;
                self.state = State::First;
            }
            State::First | State::Later => {}
        }
        self.at = skip_whitespace(self.bytes, self.at);
        if self.bytes.get(self.at) == Some(&self.closer) {
            return Ok(false);
        }
        if matches!(self.state, State::Later) {
            self.expect(b',')?;
            self.at = skip_whitespace(self.bytes, self.at);
        }
        self.state = State::Later;
        Ok(true)
    }

    fn field(&mut self) -> Result<Field, SyntaxError> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(SyntaxError { at: self.at });
        }
        let key = self.value()?;
        self.at = skip_whitespace(self.bytes, self.at);
        self.expect(b':')?;
        Ok(Field { key: key.start + 1..key.end - 1, value: self.value()? })
    }

    fn value(&mut self) -> Result<Range<usize>, SyntaxError> {
        let start = skip_whitespace(self.bytes, self.at);
        let (end, _) = value_end(self.bytes, start)?;
        self.at = end;
        Ok(start..end)
    }

    fn expect(&mut self, byte: u8) -> Result<(), SyntaxError> {
        if self.bytes.get(self.at) == Some(&byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(SyntaxError { at: self.at })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_ranges_of_the_exact_text() {
        let text = r#" { "a" : 1.50 , "b\n":[1, 2],"a":{"c":"}"} } "#;
        let fields: Vec<(&str, &str)> = object_fields(text.as_bytes(), 0)
            .map(|field| field.unwrap())
            .map(|field| (&text[field.key], &text[field.value]))
            .collect();
        assert_eq!(fields, [("a", "1.50"), ("b\\n", "[1, 2]"), ("a", r#"{"c":"}"}"#)]);
    }

    #[test]
    fn elements_are_ranges_of_the_exact_text() {
        let text = "[1, \"a]\" ,{}]";
        let elements: Vec<&str> = array_elements(text.as_bytes(), 0).map(|element| &text[element.unwrap()]).collect();
        assert_eq!(elements, ["1", "\"a]\"", "{}"]);
        assert_eq!(array_elements(b"[]", 0).count(), 0);
    }

    #[test]
    fn an_error_ends_the_walk() {
        assert_eq!(object_fields(b"{\"a\":1 \"b\":2}", 0).filter(Result::is_err).count(), 1);
        assert_eq!(object_fields(b"[1]", 0).next(), Some(Err(SyntaxError { at: 0 })));
    }
}
