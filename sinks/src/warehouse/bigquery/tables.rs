//! Tables as the registry's columns need them.

use std::collections::HashMap;

use arrow::datatypes::{DataType, SchemaRef};
use gcp_bigquery_client::model::clustering::Clustering;
use gcp_bigquery_client::model::field_type::FieldType;
use gcp_bigquery_client::model::table::Table;
use gcp_bigquery_client::model::table_field_schema::TableFieldSchema;
use gcp_bigquery_client::model::table_schema::TableSchema;
use gcp_bigquery_client::model::time_partitioning::TimePartitioning;

use super::api::ApiError;
use super::{BigQuery, statements};
use crate::failure::SinkFailure;
use crate::warehouse::columns::{TableColumn, compare};
use crate::warehouse::{LOADS_TABLE, LoadTable};

/// BigQuery clusters by four columns at most.
const MOST_CLUSTERING_COLUMNS: usize = 4;

/// What marks the tables that cxlake made.
const LABEL: &str = "cxlake";

/// Digits before and after the point that NUMERIC keeps ("Data types").
const NUMERIC_DIGITS: (u8, i8) = (29, 9);

impl BigQuery {
    /// Makes a table where there is none; refuses one that cannot take the rows. Columns that it
    /// lacks are the load's to add.
    pub(super) async fn prepare_table(&self, table: &LoadTable) -> Result<(), SinkFailure> {
        match self.table(&table.name).await? {
            Some(found) => {
                self.claim(table, &found).await?;
                self.fits(table, &found)
            }
            None => self.create(table_of(self, table)).await,
        }
    }

    /// Marks an empty table of the user's as ours; refuses one with rows of which nothing is noted.
    async fn claim(&self, table: &LoadTable, found: &Table) -> Result<(), SinkFailure> {
        let doing = format!("load into the BigQuery table {}", table.name);
        if found.labels.as_ref().is_some_and(|labels| labels.contains_key(LABEL)) {
            return Ok(());
        }
        let api = &self.api;
        if found.num_rows.as_deref() == Some("0") {
            let mut labels = found.labels.clone().unwrap_or_default();
            labels.insert(LABEL.to_owned(), "table".to_owned());
            let unchanged = Table::new(&api.project, &api.dataset, &table.name, TableSchema::default());
            let marked = Table { labels: Some(labels), ..unchanged };
            let patched =
                api.call(|| api.client.table().patch(&api.project, &api.dataset, &table.name, marked.clone()));
            return patched.await.map(|_| ()).map_err(|error| error.failure(&doing));
        }
        match api.query(&statements::notes(&api.sql_name(LOADS_TABLE), table)).await {
            Ok(rows)
                if rows.first().is_some_and(|row| row.first().is_some_and(|count| count.as_deref() != Some("0"))) =>
            {
                Ok(())
            }
            Err(error) if !error.is_no_table() => Err(error.failure(&doing)),
            _ => Err(SinkFailure::load(
                format!("{doing}: it has rows that are not cxlake's"),
                "name another table in the report; then `cxlake load`",
            )),
        }
    }

    /// Makes a table; one that another process made meanwhile is as good.
    pub(super) async fn create(&self, table: Table) -> Result<(), SinkFailure> {
        match self.api.call(|| self.api.client.table().create(table.clone())).await {
            Ok(_) | Err(ApiError { status: Some(409), .. }) => Ok(()),
            Err(error) => Err(error.failure(&format!("make the BigQuery table {}", table.table_id()))),
        }
    }

    pub(super) async fn table(&self, name: &str) -> Result<Option<Table>, SinkFailure> {
        let api = &self.api;
        match api.call(|| api.client.table().get(&api.project, &api.dataset, name, None)).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.is_no_table() => Ok(None),
            Err(error) => Err(error.failure(&format!("look at the BigQuery table {name}"))),
        }
    }

    fn fits(&self, table: &LoadTable, found: &Table) -> Result<(), SinkFailure> {
        let refuse = |reason: &str, hint: String| {
            Err(SinkFailure::load(format!("load into the BigQuery table {}: {reason}", table.name), hint))
        };
        let partitioned = found.time_partitioning.as_ref();
        if partitioned.is_none_or(|by| by.r#type != "DAY" || by.field.as_deref() != Some(&table.date_column)) {
            let reason = format!("it is not partitioned by day on {}", table.date_column);
            return refuse(
                &reason,
                "name another table in the report, or move that one away; then `cxlake load`".into(),
            );
        }
        let fields = found.schema.fields.clone().unwrap_or_default();
        let needed = columns_of(&schema(&table.schema));
        let difference = compare(&needed, &columns_of(&fields));
        let name = self.api.sql_name(&table.name);
        if let Some((column, found)) = difference.mistyped.first() {
            let reason = format!("{} is {found}, not {}", column.name, column.column_type);
            let ddl = format!("ALTER TABLE {name} RENAME COLUMN {0} TO {0}_before", column.name);
            return refuse(&reason, format!("`{ddl}` makes room for the right one; then `cxlake load`"));
        }
        if !difference.missing.is_empty() && !table.adds_columns {
            let lacks: Vec<&str> = difference.missing.iter().map(|column| column.name.as_str()).collect();
            let added = |column: &TableColumn| format!("ADD COLUMN {} {}", column.name, column.column_type);
            let added: Vec<String> = difference.missing.iter().map(added).collect();
            return refuse(
                &format!("it lacks {}, and the report's policy for new metrics is \"freeze\"", lacks.join(", ")),
                format!("`ALTER TABLE {name} {}`; then `cxlake load`", added.join(", ")),
            );
        }
        Ok(())
    }
}

/// A table partitioned by day and clustered by key.
pub(super) fn table_of(warehouse: &BigQuery, table: &LoadTable) -> Table {
    let api = &warehouse.api;
    let made = Table::new(&api.project, &api.dataset, &table.name, TableSchema::new(schema(&table.schema)))
        .description(&format!("{}, loaded by cxlake", table.owner))
        .time_partitioning(TimePartitioning::per_day().field(&table.date_column));
    let made = Table { labels: Some(HashMap::from([(LABEL.to_owned(), "table".to_owned())])), ..made };
    // BigQuery clusters by no floats.
    let can_cluster = |column: &&String| {
        table.schema.field_with_name(column).is_ok_and(|field| *field.data_type() != DataType::Float64)
    };
    let key: Vec<String> = table.key.iter().filter(can_cluster).take(MOST_CLUSTERING_COLUMNS).cloned().collect();
    if key.is_empty() { made } else { made.clustering(Clustering { fields: Some(key) }) }
}

/// Characters of a column's description ("Specifying a schema").
const MOST_DESCRIPTION: usize = 1024;

/// The columns of a file, as BigQuery names their types.
pub(super) fn schema(columns: &SchemaRef) -> Vec<TableFieldSchema> {
    let field = |field: &arrow::datatypes::FieldRef| TableFieldSchema {
        description: field
            .metadata()
            .get("cxlake.display_name")
            .map(|name| name.chars().take(MOST_DESCRIPTION).collect()),
        mode: Some("NULLABLE".to_owned()),
        ..TableFieldSchema::new(field.name(), field_type(field.data_type()))
    };
    columns.fields().iter().map(field).collect()
}

fn field_type(data_type: &DataType) -> FieldType {
    match data_type {
        DataType::Float64 => FieldType::Float,
        DataType::Int32 | DataType::Int64 => FieldType::Integer,
        DataType::Boolean => FieldType::Boolean,
        DataType::Date32 => FieldType::Date,
        DataType::Timestamp(..) => FieldType::Timestamp,
        DataType::Binary => FieldType::Bytes,
        DataType::Decimal128(precision, scale) => {
            let whole = i16::from(*precision) - i16::from(*scale);
            let (most_whole, most_scale) = NUMERIC_DIGITS;
            if *scale <= most_scale && whole <= i16::from(most_whole) {
                FieldType::Numeric
            } else {
                FieldType::Bignumeric
            }
        }
        _ => FieldType::String,
    }
}

fn columns_of(fields: &[TableFieldSchema]) -> Vec<TableColumn> {
    let column = |field: &TableFieldSchema| TableColumn {
        name: field.name.clone(),
        column_type: canonical(&field.r#type).to_owned(),
    };
    fields.iter().map(column).collect()
}

/// One name for the two that some types have.
fn canonical(field_type: &FieldType) -> &'static str {
    match field_type {
        FieldType::String => "STRING",
        FieldType::Bytes => "BYTES",
        FieldType::Integer | FieldType::Int64 => "INT64",
        FieldType::Float | FieldType::Float64 => "FLOAT64",
        FieldType::Numeric => "NUMERIC",
        FieldType::Bignumeric => "BIGNUMERIC",
        FieldType::Boolean | FieldType::Bool => "BOOL",
        FieldType::Timestamp => "TIMESTAMP",
        FieldType::Date => "DATE",
        FieldType::Time => "TIME",
        FieldType::Datetime => "DATETIME",
        FieldType::Record | FieldType::Struct => "STRUCT",
        FieldType::Geography => "GEOGRAPHY",
        FieldType::Json => "JSON",
        FieldType::Interval => "INTERVAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_numeric_where_numeric_keeps_them() {
        for (precision, scale, expected) in
            [(9, 6, "NUMERIC"), (38, 9, "NUMERIC"), (18, 10, "BIGNUMERIC"), (38, 0, "BIGNUMERIC"), (29, 0, "NUMERIC")]
        {
            assert_eq!(
                canonical(&field_type(&DataType::Decimal128(precision, scale))),
                expected,
                "({precision},{scale})"
            );
        }
    }
}
