//! What is asked of BigQuery in SQL. Names are the registry's and the configuration's, quoted, for a metric's id can be any
//! text; texts are literals.

use arrow::datatypes::{DataType, Field};
use chrono::NaiveDate;

use crate::warehouse::{LoadTable, TableLoad};

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn day(date: NaiveDate) -> String {
    format!("DATE '{date}'")
}

fn name(column: &str) -> String {
    format!("`{}`", column.replace('\\', "\\\\").replace('`', "\\`"))
}

/// The rows of each day between two.
pub(super) fn rows_by_day(table: &str, load: &LoadTable, first: NaiveDate, last: NaiveDate) -> String {
    let date = name(&load.date_column);
    format!(
        "SELECT {date}, COUNT(*) FROM {table} WHERE {date} BETWEEN {} AND {} GROUP BY {date}",
        day(first),
        day(last)
    )
}

/// What was loaded, for each day between two, oldest first; and whatever others loaded, of any day.
pub(super) fn loads_by_day(loads: &str, load: &LoadTable, first: NaiveDate, last: NaiveDate) -> String {
    format!(
        "SELECT report_date, sequence, content_sha256, owner FROM {loads} WHERE table_name = {} AND (owner <> {} OR \
         report_date BETWEEN {} AND {}) ORDER BY report_date, sequence, loaded_at",
        text(&load.name),
        text(&load.owner),
        day(first),
        day(last)
    )
}

/// How many loads of a table are noted.
pub(super) fn notes(loads: &str, load: &LoadTable) -> String {
    format!("SELECT COUNT(*) FROM {loads} WHERE table_name = {} AND owner = {}", text(&load.name), text(&load.owner))
}

/// Count, and for each column: values, sum as decimal text, and for floats sum and sum of magnitudes.
pub(super) fn totals(table: &str, load: &TableLoad) -> String {
    let sums = load.sums.iter().map(|sum| {
        let column = name(&sum.column);
        let total = match load.table.schema.field_with_name(&sum.column).map(Field::data_type) {
            Ok(DataType::Float64) => format!("SUM({column}), SUM(ABS({column}))"),
            // The sum of many an INT64 is none.
            Ok(DataType::Int64) => format!("CAST(SUM(CAST({column} AS NUMERIC)) AS STRING), NULL"),
            _ => format!("CAST(SUM({column}) AS STRING), NULL"),
        };
        format!(", COUNT({column}), {total}")
    });
    let sums: String = sums.collect();
    format!("SELECT COUNT(*){sums} FROM {table} WHERE {} = {}", name(&load.table.date_column), day(load.date))
}

/// Notes a load, once.
pub(super) fn note(loads: &str, load: &TableLoad, load_id: &str, job: &str, run_id: &str) -> String {
    let [table_name, owner, content, load_id, job, run_id] =
        [&load.table.name, &load.table.owner, &load.content_sha256, load_id, job, run_id].map(text);
    format!(
        "INSERT INTO {loads} (table_name, owner, report_date, sequence, content_sha256, load_id, rows_loaded, job, \
         run_id, loaded_at) SELECT {table_name}, {owner}, {}, {}, {content}, {load_id}, {}, {job}, {run_id}, \
         CURRENT_TIMESTAMP() FROM (SELECT 1) WHERE NOT EXISTS (SELECT 1 FROM {loads} WHERE load_id = {load_id} AND \
         job = {job})",
        day(load.date),
        load.sequence,
        load.rows
    )
}

/// A day's rows from a staging table, row by row: those that are no longer there are deleted. The
/// literal day is what keeps BigQuery from reading other partitions.
pub(super) fn merge(table: &str, staging: &str, load: &TableLoad) -> String {
    let date = name(&load.table.date_column);
    let columns: Vec<String> = load.table.schema.fields().iter().map(|field| name(field.name())).collect();
    let same: Vec<String> = load.table.key.iter().map(|key| format!("T.{0} = S.{0}", name(key))).collect();
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = S.{column}")).collect();
    let columns = columns.join(", ");
    format!(
        "MERGE {table} T USING {staging} S ON T.{date} = {day} AND {} WHEN MATCHED THEN UPDATE SET {} WHEN NOT \
         MATCHED BY TARGET THEN INSERT ({columns}) VALUES ({columns}) WHEN NOT MATCHED BY SOURCE AND T.{date} = {day} \
         THEN DELETE",
        same.join(" AND "),
        set.join(", "),
        day = day(load.date),
    )
}
