"""Reads the objects of every crash point: each record once, in one of both."""

import json
import sys
from pathlib import Path

import duckdb

folder = Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
for kind in ("data", "quarantine"):
    query = f"""
        SELECT filename, list(id ORDER BY id)
        FROM read_parquet('{folder}/{kind}/*.parquet', filename = true) GROUP BY ALL
    """
    found = {int(Path(name).stem): ids for name, ids in duckdb.sql(query).fetchall()}
    for number, point in enumerate(expected):
        assert found.get(number, []) == point[kind], (kind, point, found.get(number))
print(f"{len(expected)} points")
