"""Runs SQL by DuckDB in a folder, and prints the first rows: query.py FOLDER SQL"""

import os
import sys

import duckdb

os.chdir(sys.argv[1])
for statement in duckdb.extract_statements(sys.argv[2]):
    result = duckdb.execute(statement)
    print([column[0] for column in result.description])
    for row in result.fetchmany(3):
        print([str(value)[:60] for value in row])
