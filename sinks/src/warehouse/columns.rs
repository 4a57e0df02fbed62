//! A table's columns against those that its rows need.

/// A column as a warehouse names it and its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableColumn {
    pub(super) name: String,
    pub(super) column_type: String,
}

/// Where a table differs from what its rows need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableDifference {
    /// Columns that the table lacks.
    pub(super) missing: Vec<TableColumn>,
    /// Columns of another type: the one that is needed, and the table's type.
    pub(super) mistyped: Vec<(TableColumn, String)>,
}

/// Compares by name without regard to case, as both warehouses do. What the table has beside is the
/// table's own: older versions of the rows may have filled it.
pub(super) fn compare(needed: &[TableColumn], table: &[TableColumn]) -> TableDifference {
    let mut difference = TableDifference::default();
    for column in needed {
        match table.iter().find(|other| other.name.eq_ignore_ascii_case(&column.name)) {
            None => difference.missing.push(column.clone()),
            Some(other) if other.column_type != column.column_type => {
                difference.mistyped.push((column.clone(), other.column_type.clone()));
            }
            Some(_) => {}
        }
    }
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(columns: &[(&str, &str)]) -> Vec<TableColumn> {
        let column = |&(name, column_type): &(&str, &str)| TableColumn {
            name: name.to_owned(),
            column_type: column_type.to_owned(),
        };
        columns.iter().map(column).collect()
    }

    #[test]
    fn a_table_is_compared_by_name_whatever_the_case_and_by_type() {
        let needed = columns(&[("ID", "TEXT"), ("SCORE", "FLOAT"), ("FLAG", "BOOLEAN")]);
        let table = columns(&[("id", "TEXT"), ("SCORE", "TEXT"), ("OLD", "TEXT")]);
        let expected = TableDifference {
            missing: columns(&[("FLAG", "BOOLEAN")]),
            mistyped: vec![(needed[1].clone(), "TEXT".to_owned())],
        };
        assert_eq!(compare(&needed, &table), expected);
    }
}
