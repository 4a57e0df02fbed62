//! Views of Snowflake beside the tables that cxlake loads
//! (<https://docs.snowflake.com/en/sql-reference/sql/create-view>). Names are upper-case, so that
//! queries need no quotes.

use super::View;
use super::quote::{double_quoted, escaped_text, remark};

/// A report's view beside its table in `schema`, which is a database's name and its schema's.
pub fn snowflake(view: &View, schema: [&str; 2]) -> String {
    let upper = |name: &str| double_quoted(&name.to_uppercase());
    let names = view
        .columns
        .iter()
        .map(|column| format!("  {} COMMENT {}", upper(&column.name), escaped_text(&column.comment)));
    let names = names.collect::<Vec<_>>().join(",\n");
    let columns = view.columns.iter().map(|column| format!("  {}", upper(&column.column)));
    let columns = columns.collect::<Vec<_>>().join(",\n");
    let [database, schema] = schema.map(upper);
    let in_schema = |name: &str| format!("{database}.{schema}.{}", upper(name));
    format!(
        "{}CREATE OR REPLACE VIEW {} (\n{names}\n) COPY GRANTS COMMENT = {} AS\nSELECT\n{columns}\nFROM {};\n",
        remark(&format!("{}, registry version {}", view.comment, view.registry_version)),
        in_schema(&view.beside_table()),
        escaped_text(&view.comment),
        in_schema(&view.table),
    )
}
