"""Runs Athena's statements of a file as sqlglot reads them (tables by Hive's grammar, views by Trino's), over a lake on an S3
server, and a query over the view; DuckDB does the work: athena.py FILE ENDPOINT QUERY"""

import sys

import duckdb
import sqlglot
from sqlglot import exp

file, endpoint, query = sys.argv[1:]
duckdb.execute("SET TimeZone = 'UTC'")
duckdb.execute("LOAD httpfs")
duckdb.execute(f"""CREATE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1', URL_STYLE 'path', USE_SSL false,
    ENDPOINT '{endpoint.removeprefix("http://")}')""")
# Athena takes one statement at a time, each by the grammar of its kind.
for text in filter(str.strip, open(file).read().split(";\n")):
    statement = sqlglot.parse_one(text, dialect="athena", error_level=sqlglot.ErrorLevel.RAISE)
    assert not isinstance(statement, exp.Command), f"not understood: {statement}"
    if isinstance(statement, exp.Create) and statement.kind == "TABLE":
        location = statement.find(exp.LocationProperty).this.name
        partition = statement.find(exp.PartitionedByProperty)
        files = f"read_parquet('{location}**/*.parquet', hive_partitioning = true, union_by_name = true)"
        there = {row[0] for row in duckdb.execute(f"DESCRIBE SELECT * FROM {files}").fetchall()}
        columns = []
        for column in statement.find_all(exp.ColumnDef):
            kind, name = column.kind.sql(dialect="duckdb"), column.name
            # A column that no file has is null in all rows.
            columns.append(f'CAST({chr(34) + name + chr(34) if name in there else "NULL"} AS {kind}) AS "{name}"')
        assert "dt" in partition.sql() and any(' AS "dt"' in column for column in columns), partition
        duckdb.execute(f'CREATE TABLE "{statement.find(exp.Table).name}" AS SELECT {", ".join(columns)} FROM {files}')
    else:
        duckdb.execute(statement.sql(dialect="duckdb"))
for row in duckdb.execute(query).fetchall():
    print(*row, sep="|")
