"""Reads a lake of many registry versions as one table, by one engine, and compares it value by value
with what each file holds by itself: read_versions.py ENGINE DATA_FOLDER

Prints the rows, the columns, and the values that were compared."""

import glob
import sys
from datetime import date, datetime, timezone

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

KEY = "interaction_id"


def comparable(value):
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    return value


def rows_of(table):
    return [{name: comparable(value) for name, value in row.items()} for row in table.to_pylist()]


def by_duckdb(folder):
    import duckdb

    relation = duckdb.sql(
        f"SELECT * EXCLUDE (dt) FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, union_by_name = true)"
    )
    names = relation.columns
    return [dict(zip(names, map(comparable, row))) for row in relation.fetchall()]


def by_pyarrow(folder):
    files = sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True))
    schema = pa.unify_schemas([pq.read_schema(file) for file in files])
    return rows_of(ds.dataset(files, schema=schema).to_table())


def by_polars(folder):
    import polars

    files = sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True))
    frames = [polars.scan_parquet(file, hive_partitioning=False) for file in files]
    frame = polars.concat(frames, how="diagonal").collect()
    return [{name: comparable(value) for name, value in row.items()} for row in frame.to_dicts()]


engine, folder = sys.argv[1:]
if engine.startswith("duckdb="):
    # Another version than the installed one, from a folder of its own.
    sys.path.insert(0, engine.removeprefix("duckdb="))
    engine = "duckdb"
found = {"duckdb": by_duckdb, "pyarrow": by_pyarrow, "polars": by_polars}[engine](folder)
by_key = {row[KEY]: row for row in found}
assert len(by_key) == len(found), "a key comes twice"

def field_ids(file):
    schema = pq.read_schema(file)
    return {field.name: field.metadata[b"PARQUET:field_id"] for field in schema}


# A column keeps its id for ever, no two share one, and a column that was there stays.
ids, known = {}, set()
for file in sorted(glob.glob(f"{folder}/**/*.parquet", recursive=True)):
    of_file = field_ids(file)
    assert known <= of_file.keys(), (file, known - of_file.keys())
    known = of_file.keys()
    for name, number in of_file.items():
        assert ids.setdefault(name, number) == number, (file, name)
assert len(set(ids.values())) == len(ids), "two columns share a field id"

expected, columns, compared = 0, set(), 0
for file in glob.glob(f"{folder}/**/*.parquet", recursive=True):
    table = pq.ParquetFile(file).read()
    columns.update(table.column_names)
    for row in rows_of(table):
        expected += 1
        seen = by_key[row[KEY]]
        for name, value in row.items():
            assert seen[name] == value and type(seen[name]) is type(value), (file, name, value, seen[name])
            compared += value is not None
        for name in seen.keys() - row.keys():
            assert seen[name] is None, (file, name, "is not in the file", seen[name])
assert expected == len(found), (expected, len(found))
assert set(found[0]) == columns, set(found[0]) ^ columns
assert isinstance(found[0]["report_date"], date)
print(len(found), len(columns), compared)
