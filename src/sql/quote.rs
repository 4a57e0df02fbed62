//! Identifiers and texts, so that no name of a tenant's can end them.

/// An identifier of standard SQL, DuckDB and Athena.
pub(super) fn double_quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// An identifier of BigQuery and of Athena's DDL. Neither takes a backtick inside of one.
pub(super) fn backticked(identifier: &str) -> String {
    format!("`{}`", identifier.replace('`', "_"))
}

/// A text of standard SQL, DuckDB and Athena's queries.
pub fn text(text: &str) -> String {
    format!("'{}'", on_one_line(text).replace('\'', "''"))
}

/// A text where a backslash escapes: BigQuery, Snowflake, Hive's DDL.
pub(super) fn escaped_text(text: &str) -> String {
    format!("'{}'", on_one_line(text).replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The beginning of a comment that an engine takes no more of than `most` characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most - 1).chain(std::iter::once('…')).collect(),
    }
}

/// Without line ends and other control characters, which comments have no use for.
fn on_one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// `-- ` and a text that stays on its line.
pub(super) fn remark(text: &str) -> String {
    format!("-- {}\n", on_one_line(text))
}
