//! What is asked of Snowflake in SQL. Names are the registry's and the configuration's, in upper case as everybody writes
//! them without quotes, and quoted, for a metric's id can be any text; texts are literals.

use arrow::datatypes::{DataType, Field, Schema};
use chrono::NaiveDate;

use crate::lake::ValueSum;
use crate::warehouse::parity::FLOAT_TOLERANCE;
use crate::warehouse::{LOADS_TABLE, LoadTable, TableLoad};

/// What the messages of our own conditions begin with.
pub(super) const OWN_WORDS: &str = "cxlake: ";
/// What the condition says that keeps an older load from following a newer one.
pub(super) const NEWER: &str = "a newer load was there first";

/// Digits of the widest NUMBER.
const MOST_DIGITS: usize = 38;

/// A string literal.
pub(super) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// An identifier.
pub(super) fn name(identifier: &str) -> String {
    format!("\"{}\"", identifier.to_uppercase().replace('"', "\"\""))
}

fn day(date: NaiveDate) -> String {
    // A cast would read it by the account's DATE_INPUT_FORMAT.
    format!("TO_DATE('{date}', 'YYYY-MM-DD')")
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
        let has = |what: &str, promised: &str| {
            text(&format!("{what} of {}: the manifests say {promised}, the table has ", sum.column))
        };
        cases.push((
            format!("COUNT({column}) <> {}", sum.values),
            format!("{} || COUNT({column})::VARCHAR", has("values", &sum.values.to_string())),
        ));
        if sum.values > 0 {
            let (total, is_exact) = total(&load.table.schema, sum, &column);
            let differs = if is_exact {
                format!("{total} <> {}", sum.sum)
            } else {
                format!("ABS({total} - {}::FLOAT) > {FLOAT_TOLERANCE} * SUM(ABS({column}::FLOAT))", text(&sum.sum))
            };
            cases.push((differs, format!("{} || {total}::VARCHAR", has("sum", &sum.sum))));
        }
    }
    cases
}

/// The sum of a column, and whether it is exact: as a decimal, whose digits are those of the widest that Snowflake has.
fn total(schema: &Schema, sum: &ValueSum, column: &str) -> (String, bool) {
    let digits = sum.sum.bytes().filter(u8::is_ascii_digit).count();
    match schema.field_with_name(&sum.column).map(Field::data_type) {
        Ok(DataType::Decimal128(_, scale)) if digits <= MOST_DIGITS => {
            (format!("SUM({column}::NUMBER({MOST_DIGITS},{scale}))"), true)
        }
        Ok(DataType::Decimal128(..) | DataType::Float64) => (format!("SUM({column}::FLOAT)"), false),
        // With a digit after the point, or some engines would add up integers of fewer bits.
        _ => (format!("SUM({column}::NUMBER({MOST_DIGITS},1))"), true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sum_is_compared_as_has_room_for_it() {
        let check = |data_type: DataType, sum: &str, expected: (&str, bool)| {
            let schema = Schema::new(vec![Field::new("a", data_type, true)]);
            let sum = ValueSum { column: "a".to_owned(), values: 1, sum: sum.to_owned() };
            assert_eq!(total(&schema, &sum, "A"), (expected.0.to_owned(), expected.1), "{sum:?}");
        };
        let nines = "9".repeat(38);
        check(DataType::Int64, "12", ("SUM(A::NUMBER(38,1))", true));
        check(DataType::Float64, "1.5", ("SUM(A::FLOAT)", false));
        check(DataType::Decimal128(9, 6), "-1.500000", ("SUM(A::NUMBER(38,6))", true));
        check(DataType::Decimal128(38, 0), &nines, ("SUM(A::NUMBER(38,0))", true));
        check(DataType::Decimal128(38, 0), &format!("-1{nines}"), ("SUM(A::FLOAT)", false));
    }

    #[test]
    fn names_and_texts_cannot_end_what_they_stand_in() {
        assert_eq!(name("cm\"; DROP TABLE x --"), "\"CM\"\"; DROP TABLE X --\"");
        assert_eq!(text("it's \\"), "'it''s \\\\'");
    }
}
