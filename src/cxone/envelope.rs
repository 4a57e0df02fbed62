//! A page's envelope: where its records are, and what it says of the whole.

use std::ops::Range;

use crate::vocabulary::json::{self, StringIndex, SyntaxError, Walk, value_end, value_end_by};

/// A UTF-8 byte order mark, which some gateways put before JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The envelope of one page (guide, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Records of the whole report, as the tenant says.
    pub total: u64,
    /// Where each record of this page is in the text.
    pub records: Vec<Range<usize>>,
    /// How deep containers nest in the deepest of them.
    pub deepest_record: usize,
    /// What the next call carries, where the tenant pages by cursor.
    pub next_cursor: Option<String>,
}

/// A page's records while it is walked through.
struct Records {
    ranges: Vec<Range<usize>>,
    deepest: usize,
}

impl Records {
    /// Walks through the array at which the envelope's walk stands.
    fn walk(body: &[u8], envelope: &mut Walk<'_>) -> Result<Self, SyntaxError> {
        match StringIndex::of(body) {
            Some(strings) => Self::walk_by(|at| value_end_by(&strings, body, at), body, envelope),
            // It is not JSON, and this tells where.
            None => Self::walk_by(|at| value_end(body, at), body, envelope),
        }
    }

    fn walk_by(
        record_end: impl Fn(usize) -> Result<(usize, usize), SyntaxError>,
        body: &[u8],
        envelope: &mut Walk<'_>,
    ) -> Result<Self, SyntaxError> {
        let mut records = Self { ranges: Vec::new(), deepest: 0 };
        let mut walk = Walk::array(body, envelope.position())?;
        while walk.next_element()? {
            let start = walk.position();
            let (end, depth) = record_end(start)?;
            records.deepest = records.deepest.max(depth);
            records.ranges.push(start..end);
            walk.go_on(end);
        }
        envelope.go_on(walk.position());
        Ok(records)
    }
}

/// Splits a page into its records, without a look into them.
///
/// # Errors
/// Why the page is broken: the whole text must follow the grammar, and its counts must be true.
pub fn split_page(body: &[u8]) -> Result<Envelope, String> {
    let broken = |what: &str| format!("a broken page: {what}");
    let start = if body.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let start = json::skip_whitespace(body, start);
    if body.get(start) != Some(&b'{') {
        return Err(broken("not a JSON object"));
    }
    let (mut total, mut returned, mut records, mut next_cursor) = (None, None, None, None);
    let refused = |error: SyntaxError| broken(&error.to_string());
    let mut walk = Walk::object(body, start).map_err(refused)?;
    while let Some(key) = walk.next_key().map_err(refused)? {
        let is_array = body.get(walk.position()) == Some(&b'[');
        let twice = match &body[key] {
            b"data" if is_array => records.replace(Records::walk(body, &mut walk).map_err(refused)?).is_some(),
            key => {
                let value = &body[walk.value().map_err(refused)?.range];
                let number = |name: &str| count(value).ok_or_else(|| broken(&format!("{name} is no count")));
                match key {
                    b"totalRecords" => total.replace(number("totalRecords")?).is_some(),
                    b"returnedRecords" => returned.replace(number("returnedRecords")?).is_some(),
                    b"data" => return Err(broken("data is no array")),
                    b"nextCursor" => {
                        next_cursor.replace(cursor(value).map_err(|()| broken("nextCursor is no text"))?).is_some()
                    }
                    _ => false,
                }
            }
        };
        if twice {
            return Err(broken("a field of the envelope comes twice"));
        }
    }
    if json::skip_whitespace(body, walk.position()) != body.len() {
        return Err(broken("it does not end where it should"));
    }
    let records = records.ok_or_else(|| broken("it has no data"))?;
    let total = total.ok_or_else(|| broken("it has no totalRecords"))?;
    if returned.is_some_and(|returned| returned != records.ranges.len() as u64) {
        return Err(broken("returnedRecords is not the number of its records"));
    }
    if records.ranges.len() as u64 > total {
        return Err(broken("it has more records than totalRecords"));
    }
    Ok(Envelope { total, records: records.ranges, deepest_record: records.deepest, next_cursor: next_cursor.flatten() })
}

fn count(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn cursor(value: &[u8]) -> Result<Option<String>, ()> {
    let cursor: Option<String> = serde_json::from_slice(value).map_err(|_| ())?;
    Ok(cursor.filter(|cursor| !cursor.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Envelope, String> {
        split_page(text.as_bytes())
    }

    #[test]
    fn records_are_ranges_of_their_exact_text() {
        let text = "\u{feff} {\"totalRecords\": 3, \"returnedRecords\":2,\"report\":{\"data\":[]},\"data\":[ {\"a\":1.50} ,42],\"nextCursor\":\"c\\u0031\"}\n";
        let envelope = read(text).unwrap();
        let records: Vec<&str> = envelope.records.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(records, ["{\"a\":1.50}", "42"]);
        assert_eq!((envelope.total, envelope.next_cursor.as_deref()), (3, Some("c1")));
        let nested = read(r#"{"totalRecords":3,"deep":[[[[]]]],"data":[{"a":[{}]},1,[]]}"#).unwrap();
        assert_eq!((nested.records.len(), nested.deepest_record), (3, 3));
        let empty = read(r#"{"totalRecords":0,"data":[],"nextCursor":null}"#).unwrap();
        assert_eq!(empty, Envelope { total: 0, records: Vec::new(), deepest_record: 0, next_cursor: None });
    }

    #[test]
    fn broken_pages_are_told_apart_from_broken_records() {
        for (text, reason) in [
            ("", "not a JSON object"),
            ("<html>", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"totalRecords":1,"data":[{"a":1}"#, "not JSON at byte 33"),
            (r#"{"totalRecords":1,"data":[{"a":01}]}"#, "not JSON at byte 32"),
            (r#"{"totalRecords":1,"data":[{"a":"b\x"}]}"#, "not JSON at byte 33"),
            ("{\"totalRecords\":1,\"data\":[{\"a\":\"b\n\"}]}", "not JSON at byte 33"),
            (r#"{"totalRecords":1,"data":[{"a":"b}]}"#, "not JSON at byte 36"),
            (r#"{"totalRecords":1,"data":[{"a":"b"}\"]}"#, "not JSON at byte 35"),
            (r#"{"totalRecords":1,"data":[]}x"#, "it does not end where it should"),
            (r#"{"totalRecords":1,"data":[]"#, "not JSON at byte 27"),
            (r#"{"data":[]}"#, "it has no totalRecords"),
            (r#"{"totalRecords":1}"#, "it has no data"),
            (r#"{"totalRecords":-1,"data":[]}"#, "totalRecords is no count"),
            (r#"{"totalRecords":1e1,"data":[]}"#, "totalRecords is no count"),
            (r#"{"totalRecords":1,"data":{}}"#, "data is no array"),
            (
                r#"{"totalRecords":1,"returnedRecords":2,"data":[1]}"#,
                "returnedRecords is not the number of its records",
            ),
            (r#"{"totalRecords":1,"data":[1,2]}"#, "it has more records than totalRecords"),
            (r#"{"totalRecords":1,"totalRecords":1,"data":[1]}"#, "a field of the envelope comes twice"),
            (r#"{"totalRecords":1,"data":[1],"data":[1]}"#, "a field of the envelope comes twice"),
        ] {
            assert_eq!(read(text), Err(format!("a broken page: {reason}")), "{text}");
        }
    }
}
