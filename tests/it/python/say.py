"""Prints the values of the column `exact` as DuckDB says them, as a JSON array: say.py LAKE"""

import json
import sys

import duckdb

duckdb.execute("SET TimeZone = 'UTC'")
rows = duckdb.execute(
    f"SELECT exact::VARCHAR FROM read_parquet('{sys.argv[1]}/acme/calls/data/**/*.parquet') ORDER BY interaction_id"
)
print(json.dumps([row[0] for row in rows.fetchall()]))
