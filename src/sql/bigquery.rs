//! Views of BigQuery beside the tables that cxlake loads
//! (<https://cloud.google.com/bigquery/docs/reference/standard-sql/data-definition-language#create_view_statement>).

use super::View;
use super::quote::{backticked, escaped_text, remark, shortened};

/// Characters of a column's description (<https://cloud.google.com/bigquery/quotas#standard_tables>).
const LONGEST_DESCRIPTION: usize = 1024;

/// A report's view beside its table in `dataset`, which is `project.dataset`.
pub fn bigquery(view: &View, dataset: &str) -> String {
    let names = view.columns.iter().map(|column| {
        let comment = escaped_text(&shortened(&column.comment, LONGEST_DESCRIPTION));
        format!("  {} OPTIONS (description = {comment})", backticked(&column.name))
    });
    let names = names.collect::<Vec<_>>().join(",\n");
    let columns = view.columns.iter().map(|column| format!("  {}", backticked(&column.column)));
    let columns = columns.collect::<Vec<_>>().join(",\n");
    let in_dataset = |name: &str| backticked(&format!("{dataset}.{name}"));
    format!(
        "{}CREATE OR REPLACE VIEW {} (\n{names}\n) OPTIONS (description = {}) AS\nSELECT\n{columns}\nFROM {};\n",
        remark(&format!("{}, registry version {}", view.comment, view.registry_version)),
        in_dataset(&view.beside_table()),
        escaped_text(&view.comment),
        in_dataset(&view.table),
    )
}
