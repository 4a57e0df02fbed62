//! Walks over the members of objects and arrays that are known to follow the grammar.

use std::ops::Range;

use super::scan::{SyntaxError, number_end, skip_whitespace, string_end, value_end};

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
    members(Walk::object(bytes, at), |walk| {
        let Some(key) = walk.next_key()? else { return Ok(None) };
        Ok(Some(Field { key, value: walk.value()?.range }))
    })
}

/// The elements of the array that begins at `at`, in their order, as ranges of the scanned text.
/// Ends after the first error.
pub fn array_elements(bytes: &[u8], at: usize) -> impl Iterator<Item = Result<Range<usize>, SyntaxError>> + '_ {
    members(Walk::array(bytes, at), |walk| if walk.next_element()? { Ok(Some(walk.value()?.range)) } else { Ok(None) })
}

fn members<'a, T: 'a>(
    opened: Result<Walk<'a>, SyntaxError>,
    next: impl Fn(&mut Walk<'a>) -> Result<Option<T>, SyntaxError> + 'a,
) -> impl Iterator<Item = Result<T, SyntaxError>> + 'a {
    let mut state = Some(opened);
    std::iter::from_fn(move || {
        let mut walk = match state.take()? {
            Ok(walk) => walk,
            Err(error) => return Some(Err(error)),
        };
        let item = next(&mut walk).transpose();
        if matches!(item, Some(Ok(_))) {
            state = Some(Ok(walk));
        }
        item
    })
}

/// A value that a walk has passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Its exact text.
    pub range: Range<usize>,
    /// How deep containers nest in it, 0 for a scalar.
    pub depth: usize,
    /// Whether it is a string in which nothing is escaped.
    pub is_plain: bool,
}

/// A walk through one container, in which no byte is scanned twice: the caller passes over a value
/// ([`Walk::value`]), or walks through it ([`Walk::position`]) and comes back ([`Walk::go_on`]).
#[derive(Debug)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    closer: u8,
    is_first: bool,
}

impl<'a> Walk<'a> {
    /// Enters the object that begins at `at`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn object(bytes: &'a [u8], at: usize) -> Result<Self, SyntaxError> {
        Self::enter(bytes, at, b'{', b'}')
    }

    /// Goes on through an object: behind its brace, at a member's value or behind it.
    pub fn within_object(bytes: &'a [u8], at: usize, is_first: bool) -> Self {
        Self { bytes, at, closer: b'}', is_first }
    }

    /// Enters the array that begins at `at`.
    ///
    /// # Errors
    /// Where there is none.
    pub fn array(bytes: &'a [u8], at: usize) -> Result<Self, SyntaxError> {
        Self::enter(bytes, at, b'[', b']')
    }

    fn enter(bytes: &'a [u8], at: usize, opener: u8, closer: u8) -> Result<Self, SyntaxError> {
        let mut walk = Self { bytes, at: skip_whitespace(bytes, at), closer, is_first: true };
        walk.expect(opener)?;
        Ok(walk)
    }

    /// To the value of the next member of an object; its key's text between its quotes, or `None`
    /// past the end.
    ///
    /// # Errors
    /// The place of the first byte that breaks the grammar.
    pub fn next_key(&mut self) -> Result<Option<Range<usize>>, SyntaxError> {
        if !self.next_element()? {
            return Ok(None);
        }
        let start = self.at;
        let (end, _) = string_end(self.bytes, start)?;
        self.at = skip_whitespace(self.bytes, end);
        self.expect(b':')?;
        self.at = skip_whitespace(self.bytes, self.at);
        Ok(Some(start + 1..end - 1))
    }

    /// Where the comma or the object's brace stands behind which the next member's key may be.
    pub fn separator(&self) -> Option<usize> {
        if self.is_first { self.at.checked_sub(1) } else { (self.bytes.get(self.at) == Some(&b',')).then_some(self.at) }
    }

    /// To the value at `at` or behind whitespace there, of a next member whose key the caller read itself.
    pub fn go_on_to_value(&mut self, at: usize) {
        self.is_first = false;
        self.at = skip_whitespace(self.bytes, at);
    }

    /// To the next element of an array; false past the end.
    ///
    /// # Errors
    /// The place of the first byte that breaks the grammar.
    pub fn next_element(&mut self) -> Result<bool, SyntaxError> {
        self.at = skip_whitespace(self.bytes, self.at);
        if self.bytes.get(self.at) == Some(&self.closer) {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(&mut self.is_first) {
            self.expect(b',')?;
            self.at = skip_whitespace(self.bytes, self.at);
        }
        Ok(true)
    }

    /// Passes over the value at which the walk stands.
    ///
    /// # Errors
    /// The place of the first byte that breaks the grammar.
    #[inline]
    pub fn value(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        let (end, depth, is_plain) = match self.bytes.get(start) {
            Some(b'"') => {
                let (end, is_plain) = string_end(self.bytes, start)?;
                (end, 0, is_plain)
            }
            Some(b'-' | b'0'..=b'9') => (number_end(self.bytes, start)?, 0, false),
            _ => {
                let (end, depth) = value_end(self.bytes, start)?;
                (end, depth, false)
            }
        };
        self.at = end;
        Ok(Value { range: start..end, depth, is_plain })
    }

    /// Where the walk stands: at a value, or past the container's end.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes on past a value that the caller walked through itself.
    pub fn go_on(&mut self, at: usize) {
        self.at = at;
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
