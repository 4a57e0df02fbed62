//! Rejects laid out.

use crate::run::Reject;
use crate::vocabulary::json::{self, Shown};

/// A reject for a person: where it stands, and its text with its violations beside their values. Fields that `masks`
/// names by JSON Pointer are not shown, nor what could hold them.
pub fn laid_out(reject: &Reject, masks: &[String]) -> String {
    let is_masked = |pointer: &str| {
        masks.iter().any(|masked| {
            pointer == masked || pointer.strip_prefix(masked.as_str()).is_some_and(|below| below.starts_with('/'))
        })
    };
    let key = match &reject.record_key {
        // Which fields it is of was the configuration's of then.
        Some(_) if !masks.is_empty() => " key ***".to_owned(),
        Some(key) => format!(" key {key:?}"),
        None => String::new(),
    };
    let mut text = format!(
        "{} {} window {} to {}, record {}{key}, registry version {}\n",
        reject.tenant,
        reject.report,
        reject.window_start,
        reject.window_end,
        reject.source_offset,
        reject.schema_version
    );
    let notes = |pointer: &str| -> Vec<String> {
        let here = reject.violations.iter().filter(|violation| violation.path == pointer);
        here.map(|violation| format!("{}: expected {}", violation.rule.name(), violation.expected)).collect()
    };
    let mut marked = Vec::new();
    // Masks name fields of an object: what is none could hide them anywhere.
    let can_be_masked = |record: &&str| masks.is_empty() || record.starts_with('{');
    let record = reject.raw_record.as_deref().filter(can_be_masked).and_then(|record| {
        json::pretty(record, &mut |pointer| {
            marked.push(pointer.to_owned());
            Shown { instead: is_masked(pointer).then(|| "\"***\"".to_owned()), notes: notes(pointer) }
        })
    });
    for violation in reject.violations.iter().filter(|violation| !marked.contains(&violation.path)) {
        text.push_str(&format!(
            "{:?}   <-- {}: expected {}\n",
            violation.path,
            violation.rule.name(),
            violation.expected
        ));
    }
    match (record, &reject.raw_record) {
        (Some(record), _) => text.push_str(&record),
        // What cannot be taken apart cannot be masked.
        (None, _) if !masks.is_empty() => text.push_str("(not shown: it cannot be masked)\n"),
        (None, Some(raw)) => text.push_str(&format!("{raw}\n")),
        (None, None) => {
            text.push_str(&format!("bytes {}\n", reject.raw_bytes_hex.as_deref().unwrap_or_default()));
        }
    }
    text.push('\n');
    text
}
