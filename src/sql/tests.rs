use super::*;
use crate::registry::{MetricColumn, MetricStatus};
use crate::vocabulary::Constraints;

fn metric(id: &str, display_name: &str, types: &[ColumnType]) -> Metric {
    let columns = types.iter().enumerate().map(|(at, column_type)| MetricColumn {
        name: if at == 0 { id.to_owned() } else { format!("{id}__{}", column_type.name_suffix()) },
        column_type: *column_type,
        field_id: 1,
        since_version: 1,
    });
    Metric {
        id: id.to_owned(),
        display_name: display_name.to_owned(),
        earlier_names: Vec::new(),
        column_type: types[types.len() - 1],
        constraints: Constraints::default(),
        required: false,
        status: MetricStatus::Published,
        reporting_groups: None,
        columns: columns.collect(),
        first_version: 1,
        last_version: 1,
    }
}

fn column(name: &str, source: &str, origin: ColumnOrigin, column_type: ColumnType) -> Column {
    Column {
        name: name.to_owned(),
        origin,
        source: source.to_owned(),
        earlier_sources: Vec::new(),
        column_type,
        required: false,
        constraints: Constraints::default(),
        requested: true,
        field_id: 1,
        display_name: None,
    }
}

/// The columns of files: a key, these metrics' columns in the order in which they came, and ours.
fn columns(metrics: &[Metric]) -> Vec<Column> {
    let mut columns = vec![
        column("report_date", "", ColumnOrigin::ReportDate, ColumnType::Date),
        column("agent_id", "agentId", ColumnOrigin::GroupBy, ColumnType::String),
    ];
    for at in 0..2 {
        for metric in metrics {
            let found = metric.columns.get(at);
            columns.extend(found.map(|own| column(&own.name, &metric.id, ColumnOrigin::CustomMetric, own.column_type)));
        }
    }
    columns.push(column("_unmapped", "", ColumnOrigin::Unmapped, ColumnType::String));
    columns
}

fn check(metrics: &[Metric], expected: &[&str]) {
    let view = view_columns(&columns(metrics), metrics);
    let names: Vec<&str> = view.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names[..2], ["report_date", "agent_id"]);
    assert_eq!(names[2..names.len() - 1], *expected);
    assert_eq!(names[names.len() - 1], "_unmapped");
}

#[test]
fn metrics_are_named_as_people_know_them() {
    let number = [ColumnType::Number];
    check(
        &[metric("cm_1", "Sentiment Confidence Score", &number), metric("cm_2", "  Käufer-Stimmung (%) ", &number)],
        &["sentiment_confidence_score", "kaufer_stimmung"],
    );
    check(
        &[metric("cm_1", "30 day score", &number), metric("cm_2", "顧客", &number)],
        &["metric_30_day_score", "guke"],
    );
}

#[test]
fn no_name_comes_twice_and_the_first_metric_keeps_its_name() {
    let number = [ColumnType::Number];
    check(
        &[
            metric("cm_1", "Score", &number),
            metric("cm_2", "SCORE", &number),
            metric("cm_3", "Agent ID", &number),
            metric("cm_4", "dt", &number),
            metric("cm_5", "%%%", &number),
        ],
        &["score", "score__cm_2", "agent_id__cm_3", "dt__cm_4", "cm_5"],
    );
}

#[test]
fn the_columns_of_a_retyped_metric_stand_side_by_side() {
    let retyped = metric("cm_1", "Flag", &[ColumnType::String, ColumnType::Boolean]);
    let metrics = [retyped, metric("cm_2", "Score", &[ColumnType::Number])];
    check(&metrics, &["flag", "flag__boolean", "score"]);
    // Another metric that people name like the column of a type has to give way.
    let metrics = [metrics[0].clone(), metric("cm_3", "Flag  boolean", &[ColumnType::Number])];
    check(&metrics, &["flag", "flag__boolean", "flag_boolean"]);
}

#[test]
fn a_hostile_name_stays_within_its_quotes() {
    let hostile = "x'); DROP TABLE calls; --\n\"`\\";
    let metrics = [metric("cm_1", hostile, &[ColumnType::Number])];
    let view = View {
        report: "calls\"".to_owned(),
        table: "calls".to_owned(),
        comment: hostile.to_owned(),
        registry_version: 1,
        columns: view_columns(&columns(&metrics), &metrics),
    };
    let text = duckdb(&view, "/lake's/acme/calls");
    assert!(text.contains("read_parquet('/lake''s/acme/calls/data/**/*.parquet'"), "{text}");
    assert!(text.contains("\"calls\"\"\"") && text.contains("'x''); DROP TABLE calls; -- \"`\\'"), "{text}");
    for text in [bigquery(&view, "p.d"), snowflake(&view, ["d", "s"]), athena(&view, "s3://lake/acme/calls")] {
        assert!(text.contains("x\\'); DROP TABLE calls; -- \"`\\\\"), "{text}");
        assert!(text.lines().all(|line| !line.starts_with("\"`")), "{text}");
    }
}

#[test]
fn a_metric_called_as_anothers_column_is_not_that_one() {
    let number = [ColumnType::Number];
    check(&[metric("cm_1", "cm_2", &number), metric("cm_2", "%%%", &number)], &["cm_2__cm_1", "cm_2"]);
    check(&[metric("cm_1", "cm_2", &number), metric("cm_2", "Score", &number)], &["cm_2__cm_1", "score"]);
    check(
        &[metric("cm_1", "b cm 2", &number), metric("cm_2", "B", &number), metric("cm_3", "b", &number)],
        &["b_cm_2", "b", "b__cm_3"],
    );
}

#[test]
fn comments_are_as_long_as_engines_take_them() {
    let mut one = metric("cm_1", "Score", &[ColumnType::Number]);
    one.earlier_names = vec!["ä".repeat(2000)];
    let view = View {
        report: "calls".to_owned(),
        table: "calls".to_owned(),
        comment: String::new(),
        registry_version: 1,
        columns: view_columns(&columns(std::slice::from_ref(&one)), std::slice::from_ref(&one)),
    };
    let longest = |sql: String| sql.split('\'').map(|text| text.chars().count()).max();
    assert_eq!(longest(athena(&view, "s3://lake/acme/calls")), Some(255));
    assert_eq!(longest(bigquery(&view, "project.dataset")), Some(1024));
}
