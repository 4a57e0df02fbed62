//! The page splitter against serde_json: the same records, byte for byte, or a broken page.
#![no_main]

use cxlake::cxone::split_page;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    total_records: u64,
    returned_records: Option<u64>,
    #[serde(borrow)]
    data: Vec<&'a RawValue>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// serde_json nests 128 levels deep.
fn is_shallow(body: &[u8]) -> bool {
    body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() < 120
}

fuzz_target!(|body: &[u8]| {
    let split = split_page(body);
    // Names with escapes are other names to the splitter, and only it takes a byte order mark.
    let Ok(text) = std::str::from_utf8(body) else { return };
    if !is_shallow(body) || text.contains('\\') || text.starts_with('\u{feff}') {
        return;
    }
    let expected = serde_json::from_str::<Page<'_>>(text);
    match (&split, &expected) {
        (Ok(split), Ok(expected)) => {
            let records: Vec<&str> = split.records.iter().map(|range| &text[range.clone()]).collect();
            let raw: Vec<&str> = expected.data.iter().map(|record| record.get()).collect();
            assert_eq!(records, raw);
            assert_eq!(split.total, expected.total_records);
            assert_eq!(split.next_cursor, expected.next_cursor.clone().filter(|cursor| !cursor.is_empty()));
        }
        (Ok(_), Err(error)) => panic!("a page that serde_json refuses: {error}"),
        (Err(reason), Ok(expected)) => {
            let count = expected.data.len() as u64;
            let counts_are_true =
                expected.returned_records.is_some_and(|returned| returned == count) && count <= expected.total_records;
            assert!(!counts_are_true, "a page that serde_json reads: {reason}");
        }
        (Err(_), Err(_)) => {}
    }
});
