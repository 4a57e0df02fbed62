//! What names a record, as text.

use super::cells::Cell;

/// The key as text: the texts of its columns, or with several of them a JSON array. Empty where a part of it is missing
/// or no value of its type. `value` gives a column's cell, and its text where it holds one.
pub(super) fn write_key<'a>(columns: &[usize], value: impl Fn(usize) -> (Cell, Option<&'a str>), into: &mut String) {
    into.clear();
    if let [column] = *columns
        && let (_, Some(text)) = value(column)
    {
        return into.push_str(text);
    }
    let part = |column: &usize| match value(*column) {
        (_, Some(text)) => Some(text.to_owned()),
        (cell, None) => number_text(&cell),
    };
    let parts: Option<Vec<String>> = columns.iter().map(part).collect();
    if let Some(parts) = parts {
        key_text(&parts, into);
    }
}

/// A key of one part is its text, of several parts a JSON array of them.
pub(super) fn key_text(parts: &[String], into: &mut String) {
    match parts {
        [part] => into.push_str(part),
        parts => into.push_str(&serde_json::to_string(parts).unwrap_or_default()),
    }
}

fn number_text(cell: &Cell) -> Option<String> {
    match cell {
        Cell::Boolean(value) => Some(value.to_string()),
        Cell::Integer(value) | Cell::Timestamp(value) => Some(value.to_string()),
        // Zero and the negative zero are one value to whoever joins by it.
        Cell::Float(value) => Some((value + 0.0).to_string()),
        Cell::Decimal(value) => Some(value.to_string()),
        Cell::Date(value) => Some(value.to_string()),
        Cell::Empty | Cell::Text(_) | Cell::Unescaped(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_one_value_are_one_key() {
        let key = |cell: Cell| {
            let mut text = String::new();
            write_key(&[0], |_| (cell.clone(), None), &mut text);
            text
        };
        assert_eq!(key(Cell::Float(-0.0)), key(Cell::Float(0.0)));
        assert_ne!(key(Cell::Float(-1.0)), key(Cell::Float(1.0)));
    }
}
