"""Prints what the files of a report say of themselves."""

import glob
import sys

import duckdb
import pyarrow.parquet

for kind in ["data", "quarantine"]:
    (path,) = glob.glob(f"{sys.argv[1]}/{kind}/**/*.parquet", recursive=True)
    file = pyarrow.parquet.ParquetFile(path)
    print(kind)
    for key, value in sorted(file.metadata.metadata.items()):
        if key.startswith(b"cxlake.") and key != b"cxlake.extract_sha256":
            print(f"  {key.decode()} = {value.decode()}")
    for field in file.schema_arrow:
        meta = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        rest = ", ".join(f"{key} = {value}" for key, value in sorted(meta.items()))
        print(f"  {field.name}: {field.type}, {rest}")
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    print(f"  rows of each row group {sizes}, optional {file.schema.column(0).max_definition_level == 1}")
    columns = duckdb.sql(
        f"""SELECT path_in_schema, any_value(compression), bool_or(dictionary_page_offset IS NOT NULL),
        bool_or(bloom_filter_offset IS NOT NULL) FROM parquet_metadata('{path}')
        GROUP BY path_in_schema, column_id ORDER BY column_id"""
    ).fetchall()
    for column, compression, dictionary, bloom in columns:
        print(f"  {column}: {compression}{', dictionary' * dictionary}{', bloom filter' * bloom}")
