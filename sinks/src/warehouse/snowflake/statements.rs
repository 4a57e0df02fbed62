//! What is asked of Snowflake in SQL. Names are the registry's and the configuration's, of letters,
//! digits and `_`, in upper case as everybody writes them without quotes; texts are literals.

use arrow::datatypes::Schema;
use chrono::NaiveDate;

use super::tables::is_float;
use crate::lake::ValueSum;
use crate::warehouse::parity::FLOAT_TOLERANCE;
use crate::warehouse::{LOADS_TABLE, LoadTable, TableLoad};

/// What the messages of our own conditions begin with.
pub(super) const OWN_WORDS: &str = "cxlake: ";
/// What the condition says that keeps an older load from following a newer one.
pub(super) const NEWER: &str = "a newer load was there first";

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// An identifier.
pub(super) fn name(identifier: &str) -> String {
    format!("\"{}\"", identifier.to_uppercase())
}

fn day(date: NaiveDate) -> String {
    format!("'{date}'::DATE")
}

/// Makes the table of loads.
pub(super) fn create_loads() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {} (TABLE_NAME VARCHAR, OWNER VARCHAR, REPORT_DATE DATE, SEQUENCE NUMBER(38,0), \
         CONTENT_SHA256 VARCHAR, LOAD_ID VARCHAR, ROWS_LOADED NUMBER(38,0), RUN_ID VARCHAR, LOADED_AT TIMESTAMP_LTZ)",
        name(LOADS_TABLE)
    )
}

/// A row for a table and day that loads take hold of, one after the other.
pub(super) fn register(load: &TableLoad) -> String {
    let (loads, [table, owner]) = (name(LOADS_TABLE), [&load.table.name, &load.table.owner].map(|value| text(value)));
    format!(
        "INSERT INTO {loads} (TABLE_NAME, OWNER, REPORT_DATE, SEQUENCE) SELECT {table}, {owner}, {day}, 0 WHERE NOT \
         EXISTS (SELECT 1 FROM {loads} WHERE TABLE_NAME = {table} AND REPORT_DATE = {day} AND SEQUENCE = 0)",
        day = day(load.date)
    )
}

/// A condition: a message that is no number makes the statement fail, and with it the transaction.
fn unless(cases: &[(String, String)], from: &str) -> String {
    let cases: Vec<String> =
        cases.iter().map(|(wrong, message)| format!("WHEN {wrong} THEN '{OWN_WORDS}' || {message}")).collect();
    format!("SELECT TO_NUMBER(CASE {} ELSE '0' END) FROM {from}", cases.join(" "))
}

/// The load of a day as one transaction.
pub(super) fn load(load: &TableLoad, load_id: &str, stage: &str, below_stage: &str, run_id: &str) -> Vec<String> {
    let (table, loads, date, day) =
        (name(&load.table.name), name(LOADS_TABLE), name(&load.table.date_column), day(load.date));
    let [table_name, owner, content, load_id, run_id] =
        [&load.table.name, &load.table.owner, &load.content_sha256, load_id, run_id].map(text);
    let files: Vec<String> = load.files.iter().map(|file| text(&format!("{below_stage}{}", file.key))).collect();
    let of_day = format!("{loads} WHERE TABLE_NAME = {table_name} AND REPORT_DATE = {day}");
    vec![
        "BEGIN".to_owned(),
        // An update locks what it changes: a load of the same day waits here.
        format!(
            "UPDATE {loads} SET RUN_ID = {run_id} WHERE TABLE_NAME = {table_name} AND REPORT_DATE = {day} AND SEQUENCE = 0"
        ),
        unless(&[(format!("MAX(SEQUENCE) > {}", load.sequence), text(NEWER))], &of_day),
        format!("DELETE FROM {table} WHERE {date} = {day}"),
        format!(
            "COPY INTO {table} FROM @{stage} FILES = ({}) FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE \
             BINARY_AS_TEXT = FALSE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE ON_ERROR = ABORT_STATEMENT",
            files.join(", ")
        ),
        unless(&parity(load), &format!("{table} WHERE {date} = {day}")),
        format!(
            "INSERT INTO {loads} (TABLE_NAME, OWNER, REPORT_DATE, SEQUENCE, CONTENT_SHA256, LOAD_ID, ROWS_LOADED, \
             RUN_ID, LOADED_AT) SELECT {table_name}, {owner}, {day}, {}, {content}, {load_id}, {}, {run_id}, \
             CURRENT_TIMESTAMP()",
            load.sequence, load.rows
        ),
        "COMMIT".to_owned(),
    ]
}

/// Where the table's count and sums differ from the manifests'.
fn parity(load: &TableLoad) -> Vec<(String, String)> {
    let mut cases = vec![(
        format!("COUNT(*) <> {}", load.rows),
        format!("'rows: the manifests say {}, the table has ' || COUNT(*)::VARCHAR", load.rows),
    )];
    for sum in &load.sums {
        let column = name(&sum.column);
        // Integers are added up as decimals too, whose sum is exact wherever SQL runs.
        let total = if is_float(&load.table.schema, &sum.column) {
            format!("SUM({column})")
        } else {
            format!("SUM({column}::NUMBER(38,{}))", scale_of(&sum.sum))
        };
        cases.push((
            format!("COUNT({column}) <> {}", sum.values),
            format!(
                "'values of {}: the manifests say {}, the table has ' || COUNT({column})::VARCHAR",
                sum.column, sum.values
            ),
        ));
        if sum.values > 0 {
            cases.push((
                differs(&load.table.schema, sum, &column, &total),
                format!("'sum of {}: the manifests say {}, the table has ' || {total}::VARCHAR", sum.column, sum.sum),
            ));
        }
    }
    cases
}

fn scale_of(decimal: &str) -> usize {
    decimal.split_once('.').map_or(1, |(_, fraction)| fraction.len())
}

fn differs(schema: &Schema, sum: &ValueSum, column: &str, total: &str) -> String {
    if is_float(schema, &sum.column) {
        format!("ABS({total} - {}::FLOAT) > {FLOAT_TOLERANCE} * SUM(ABS({column}))", text(&sum.sum))
    } else {
        format!("{total} <> {}", sum.sum)
    }
}

/// The rows of each day between two.
pub(super) fn rows_by_day(table: &LoadTable, first: NaiveDate, last: NaiveDate) -> String {
    let date = name(&table.date_column);
    format!(
        "SELECT TO_CHAR({date}, 'YYYY-MM-DD'), COUNT(*) FROM {} WHERE {date} BETWEEN {} AND {} GROUP BY {date}",
        name(&table.name),
        day(first),
        day(last)
    )
}

/// What was loaded last, for each day between two; and whatever others loaded, of any day.
pub(super) fn loads_by_day(table: &LoadTable, first: NaiveDate, last: NaiveDate) -> String {
    format!(
        "SELECT TO_CHAR(REPORT_DATE, 'YYYY-MM-DD'), SEQUENCE, CONTENT_SHA256, OWNER FROM {} WHERE TABLE_NAME = {} AND \
         (OWNER <> {} OR REPORT_DATE BETWEEN {} AND {}) QUALIFY ROW_NUMBER() OVER (PARTITION BY REPORT_DATE, OWNER \
         ORDER BY SEQUENCE DESC, LOADED_AT DESC) = 1",
        name(LOADS_TABLE),
        text(&table.name),
        text(&table.owner),
        day(first),
        day(last)
    )
}

/// Whether anything of a table is noted, and how many rows it has.
pub(super) fn notes_and_rows(table: &LoadTable) -> String {
    format!(
        "SELECT (SELECT COUNT(*) FROM {} WHERE TABLE_NAME = {}), (SELECT COUNT(*) FROM {})",
        name(LOADS_TABLE),
        text(&table.name),
        name(&table.name)
    )
}
