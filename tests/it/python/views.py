"""Makes the views of a file in DuckDB and runs a query over them: views.py FILE QUERY
Or holds a file against the grammar of another engine: views.py FILE --parse DIALECT"""

import sys

import duckdb
import sqlglot

sql = open(sys.argv[1]).read()
if sys.argv[2] == "--parse":
    for statement in sqlglot.parse(sql, dialect=sys.argv[3], error_level=sqlglot.ErrorLevel.RAISE):
        assert not isinstance(statement, sqlglot.exp.Command), f"not understood: {statement}"
        print(type(statement).__name__, statement.find(sqlglot.exp.Table).sql(dialect=sys.argv[3]))
else:
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.execute(sql)
    for row in duckdb.execute(sys.argv[2]).fetchall():
        print(*row, sep="|")
