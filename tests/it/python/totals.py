"""Prints count and sums of each day and column of Parquet files in an S3 server, as JSON: totals.py ENDPOINT GLOB"""

import json
import sys

import duckdb

endpoint, files = sys.argv[1], sys.argv[2]
connection = duckdb.connect()
connection.execute(
    f"CREATE SECRET s3 (TYPE s3, KEY_ID 'test', SECRET 'test', ENDPOINT '{endpoint.removeprefix('http://')}', "
    "URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')"
)
connection.execute(
    f"CREATE VIEW rows AS SELECT * EXCLUDE (dt) FROM read_parquet('{files}', hive_partitioning = true, union_by_name = true)"
)
columns = connection.execute("SELECT column_name, column_type FROM (DESCRIBE rows)").fetchall()
days = {}
for name, kind in columns:
    is_number = kind in ("DOUBLE", "BIGINT", "INTEGER") or kind.startswith("DECIMAL")
    is_text = kind == "VARCHAR"
    total = f'sum("{name}")' if is_number else f'min("{name}") || max("{name}")' if is_text else "NULL"
    shape = "integer" if kind == "BIGINT" else "number" if is_number else "text" if is_text else "other"
    for date, rows, values, total in connection.execute(
        f'SELECT report_date, count(*), count("{name}"), {total} FROM rows GROUP BY report_date'
    ).fetchall():
        day = days.setdefault(str(date), {"rows": rows, "columns": {}})
        day["columns"][name] = [shape, values, None if total is None else str(total)]
print(json.dumps(days))
