"""DuckDB reads the pages as files."""

import sys

import duckdb
from common import GROUP_BY, METRICS, TOLERANT

folder, out, *custom = sys.argv[1:]
custom = dict(pair.split("=") for pair in custom)
KINDS = {"number": "DOUBLE", "integer": "BIGINT", "boolean": "BOOLEAN", "string": "VARCHAR"}
record = [f"{name} VARCHAR" for name in GROUP_BY[:3]] + ["startTime TIMESTAMPTZ"]
record += [f"{name} DOUBLE" for name in METRICS]
record.append("customMetrics STRUCT(" + ", ".join(f"{name} {KINDS[kind]}" for name, kind in custom.items()) + ")")
top = ", ".join(f"record.{name}" for name in GROUP_BY + METRICS)
duckdb.sql("SET TimeZone = 'UTC'")
duckdb.sql(f"""
    COPY (
        SELECT {top}, {", ".join(f"record.customMetrics.{name}" for name in custom)}
        FROM (SELECT unnest(data) AS record
              FROM read_json('{folder}/*.json', columns = {{data: 'STRUCT({", ".join(record)})[]'}},
                             maximum_object_size = 67108864, ignore_errors = {TOLERANT}))
    ) TO '{out}/data.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3)
""")
