//! An external table of Athena over a lake on S3, and a view of it. Days are projected, so no crawler
//! and no `MSCK REPAIR` is needed (<https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html>);
//! columns of Parquet are found by name, so files of several registry versions are one table.

use super::quote::{backticked, double_quoted, escaped_text, remark, shortened};
use super::{SCHEMA_VERSION, View};
use crate::vocabulary::ColumnType;

/// Characters of a column's comment (<https://docs.aws.amazon.com/glue/latest/webapi/API_Column.html>).
const LONGEST_COMMENT: usize = 255;

/// A report's table and view. The table is made anew, for a metric may have come; dropping an external
/// table leaves its files. `folder` is the report's, `s3://…`.
pub fn athena(view: &View, folder: &str) -> String {
    let table = view.table.to_lowercase();
    let defined = view.columns.iter().map(|column| {
        let column_type = athena_type(&column.column, column.column_type);
        format!(
            "  {} {column_type} COMMENT {}",
            backticked(&column.column),
            escaped_text(&shortened(&column.comment, LONGEST_COMMENT))
        )
    });
    let defined = defined.collect::<Vec<_>>().join(",\n");
    let columns = view.columns.iter().map(|column| {
        let (column, name) = (double_quoted(&column.column), double_quoted(&column.name));
        if column == name { format!("  {column}") } else { format!("  {column} AS {name}") }
    });
    let columns = std::iter::once("  dt".to_owned()).chain(columns).collect::<Vec<_>>().join(",\n");
    let (location, template) = (format!("{folder}/data/"), format!("{folder}/data/dt=${{dt}}/"));
    format!(
        "{}DROP TABLE IF EXISTS {};\nCREATE EXTERNAL TABLE {} (\n{defined}\n)\nCOMMENT {}\nPARTITIONED BY (dt date)\nSTORED AS \
         PARQUET\nLOCATION {}\nTBLPROPERTIES (\n  'projection.enabled' = 'true',\n  'projection.dt.type' = 'date',\n  \
         'projection.dt.format' = 'yyyy-MM-dd',\n  'projection.dt.range' = '1990-01-01,NOW+1DAYS',\n  \
         'storage.location.template' = {}\n);\nCREATE OR REPLACE VIEW {} AS\nSELECT\n{columns}\nFROM {};\n",
        remark(&format!("{}, registry version {}", view.comment, view.registry_version)),
        backticked(&table),
        backticked(&table),
        escaped_text(&view.comment),
        escaped_text(&location),
        escaped_text(&template),
        double_quoted(&view.beside_table().to_lowercase()),
        double_quoted(&table),
    )
}

fn athena_type(column: &str, column_type: ColumnType) -> String {
    match column_type {
        ColumnType::String => "string".to_owned(),
        ColumnType::Number => "double".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
        ColumnType::Integer if column == SCHEMA_VERSION => "int".to_owned(),
        ColumnType::Integer => "bigint".to_owned(),
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::Date => "date".to_owned(),
    }
}
