//! Views of DuckDB (1.1 and later) over the lake's files.

use std::fmt::Write as _;

use super::quote::{double_quoted, remark, text};
use super::{SCHEMA_VERSION, View};
use crate::vocabulary::ColumnType;

/// A report's view over its data, and one over its rejects. `folder` is the report's, as DuckDB
/// names it.
pub fn duckdb(view: &View, folder: &str) -> String {
    let name = double_quoted(&view.report);
    let mut sql = remark(&format!("{}, registry version {}", view.comment, view.registry_version));
    let mut columns = vec!["  dt".to_owned()];
    columns.extend(view.columns.iter().map(|column| {
        let (column, name) = (double_quoted(&column.column), double_quoted(&column.name));
        if column == name { format!("  {column}") } else { format!("  {column} AS {name}") }
    }));
    let (columns, files) = (columns.join(",\n"), files(folder, "data"));
    let nulls = view.columns.iter().map(|column| {
        let column_type = duckdb_type(&column.column, column.column_type);
        format!("NULL::{column_type} AS {}", double_quoted(&column.column))
    });
    let nulls = nulls.collect::<Vec<_>>().join(", ");
    // A column that no file has yet is null, not an error; filters reach the files through the union.
    let _infallible = writeln!(
        sql,
        "CREATE OR REPLACE VIEW {name} AS\nSELECT\n{columns}\nFROM (\n  SELECT * FROM {files}\n  UNION ALL BY NAME\n  \
         SELECT {nulls} WHERE false\n);"
    );
    let _infallible = writeln!(sql, "COMMENT ON VIEW {name} IS {};", text(&view.comment));
    for column in &view.columns {
        let (column, comment) = (double_quoted(&column.name), text(&column.comment));
        let _infallible = writeln!(sql, "COMMENT ON COLUMN {name}.{column} IS {comment};");
    }
    let rejects = double_quoted(&format!("{}_quarantine", view.report));
    let files = self::files(folder, "quarantine");
    let _infallible = writeln!(sql, "CREATE OR REPLACE VIEW {rejects} AS\nSELECT * FROM {files};");
    let comment = text(&format!("{}: rejects as they were sent", view.comment));
    let _infallible = writeln!(sql, "COMMENT ON VIEW {rejects} IS {comment};");
    sql
}

/// The view of a tenant's metrics over the file `catalog`.
pub fn duckdb_catalog(tenant: &str, catalog: &str) -> String {
    let name = double_quoted(&format!("{tenant}_metric_catalog"));
    format!("CREATE OR REPLACE VIEW {name} AS\nSELECT * FROM read_parquet({});\n", text(catalog))
}

fn duckdb_type(column: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => "VARCHAR".to_owned(),
        ColumnType::Number => "DOUBLE".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("DECIMAL({precision},{scale})"),
        ColumnType::Integer if column == SCHEMA_VERSION => "INTEGER".to_owned(),
        ColumnType::Integer => "BIGINT".to_owned(),
        ColumnType::Boolean => "BOOLEAN".to_owned(),
        ColumnType::Timestamp => "TIMESTAMPTZ".to_owned(),
        ColumnType::Date => "DATE".to_owned(),
    }
}

fn files(folder: &str, kind: &str) -> String {
    let files = text(&format!("{folder}/{kind}/**/*.parquet"));
    format!("read_parquet({files}, hive_partitioning = true, hive_types = {{'dt': DATE}}, union_by_name = true)")
}
