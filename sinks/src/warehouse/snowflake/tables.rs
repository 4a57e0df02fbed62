//! Tables as the registry's columns need them.

use arrow::datatypes::{DataType, Schema};

use super::Snowflake;
use super::statements::{name, notes_and_rows, text};
use crate::failure::SinkFailure;
use crate::warehouse::LoadTable;
use crate::warehouse::columns::{TableColumn, compare};

impl Snowflake {
    /// Makes a table where there is none, adds the columns that one lacks where that is allowed, and
    /// refuses one that cannot take the rows: COPY leaves out what a table lacks, without a word, and
    /// checks no types.
    pub(super) async fn prepare_table(&self, table: &LoadTable) -> Result<(), SinkFailure> {
        let needed = columns_of(&table.schema);
        let doing = format!("prepare the Snowflake table {}", table.name);
        let mut found = self.columns(&table.name).await?;
        if found.is_empty() {
            let columns: Vec<String> = needed.iter().map(defined).collect();
            let create = format!("CREATE TABLE IF NOT EXISTS {} ({})", name(&table.name), columns.join(", "));
            self.api.statement(&create).await.map_err(|error| error.failure(&doing))?;
            // Another process can have been first, with fewer columns.
            found = self.columns(&table.name).await?;
        }
        self.refuse_strangers_rows(table).await?;
        let difference = compare(&needed, &found);
        if let Some((column, found)) = difference.mistyped.first() {
            return Err(SinkFailure::load(
                format!("{doing}: {} is {found}, not {}", column.name, column.column_type),
                format!(
                    "`ALTER TABLE {table} RENAME COLUMN {column} TO {before}` makes room for the right one; then \
                     `cxlake load`",
                    table = name(&table.name),
                    column = name(&column.name),
                    before = name(&format!("{}_before", column.name)),
                ),
            ));
        }
        let added = |column: &TableColumn| format!("ALTER TABLE {} ADD COLUMN {}", name(&table.name), defined(column));
        if !difference.missing.is_empty() && !table.adds_columns {
            let lacks: Vec<&str> = difference.missing.iter().map(|column| column.name.as_str()).collect();
            let added: Vec<String> = difference.missing.iter().map(added).collect();
            return Err(SinkFailure::load(
                format!(
                    "{doing}: it lacks {}, and the report's policy for new metrics is \"freeze\"",
                    lacks.join(", ")
                ),
                format!("`{};` then `cxlake load`", added.join("; ")),
            ));
        }
        for column in &difference.missing {
            let add = added(column).replacen("ADD COLUMN", "ADD COLUMN IF NOT EXISTS", 1);
            self.api.statement(&add).await.map_err(|error| error.failure(&doing))?;
        }
        Ok(())
    }

    /// A table with rows, of which nothing is noted, is somebody else's.
    async fn refuse_strangers_rows(&self, table: &LoadTable) -> Result<(), SinkFailure> {
        let doing = format!("look at the Snowflake table {}", table.name);
        let counted = self.api.statement(&notes_and_rows(table)).await.map_err(|error| error.failure(&doing))?;
        let counts: Vec<u64> =
            counted.rows.into_iter().flatten().filter_map(|count| count.and_then(|count| count.parse().ok())).collect();
        match counts.as_slice() {
            [0, rows] if *rows > 0 => Err(SinkFailure::load(
                format!("load into the Snowflake table {}: it has rows that are not cxlake's", table.name),
                "name another table in the report; then `cxlake load`",
            )),
            _ => Ok(()),
        }
    }

    async fn columns(&self, table: &str) -> Result<Vec<TableColumn>, SinkFailure> {
        let sql = format!(
            "SELECT COLUMN_NAME, DATA_TYPE, NUMERIC_PRECISION, NUMERIC_SCALE FROM INFORMATION_SCHEMA.COLUMNS WHERE \
             TABLE_SCHEMA = {} AND TABLE_NAME = {}",
            text(&self.schema),
            text(&table.to_uppercase())
        );
        let rows = self.api.statement(&sql).await;
        let rows = rows.map_err(|error| error.failure(&format!("look at the Snowflake table {table}")))?;
        let column = |row: Vec<Option<String>>| {
            let [Some(name), Some(data_type), precision, scale] = row.as_slice() else { return None };
            let column_type = match (data_type.as_str(), precision, scale) {
                ("NUMBER", Some(precision), Some(scale)) => format!("NUMBER({precision},{scale})"),
                ("TIMESTAMP_TZ", ..) => TIMESTAMP.to_owned(),
                (other, ..) => other.to_owned(),
            };
            Some(TableColumn { name: name.clone(), column_type })
        };
        Ok(rows.rows.into_iter().filter_map(column).collect())
    }
}

/// Instants: Parquet's timestamps that are adjusted to UTC load into it ("USE_LOGICAL_TYPE").
const TIMESTAMP: &str = "TIMESTAMP_LTZ";

fn defined(column: &TableColumn) -> String {
    format!("{} {}", name(&column.name), column.column_type)
}

/// The columns of a file, by the names that INFORMATION_SCHEMA has for types.
fn columns_of(schema: &Schema) -> Vec<TableColumn> {
    let column = |field: &arrow::datatypes::FieldRef| TableColumn {
        name: field.name().clone(),
        column_type: match field.data_type() {
            DataType::Float64 => "FLOAT".to_owned(),
            DataType::Int32 | DataType::Int64 => "NUMBER(38,0)".to_owned(),
            DataType::Boolean => "BOOLEAN".to_owned(),
            DataType::Date32 => "DATE".to_owned(),
            DataType::Timestamp(..) => TIMESTAMP.to_owned(),
            DataType::Binary => "BINARY".to_owned(),
            DataType::Decimal128(precision, scale) => format!("NUMBER({precision},{scale})"),
            _ => "TEXT".to_owned(),
        },
    };
    schema.fields().iter().map(column).collect()
}
