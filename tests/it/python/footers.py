"""Prints what the files of a report say of themselves."""

import glob
import sys

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
    first = file.metadata.row_group(0).column(0)
    print(f"  compression {first.compression}, optional {file.schema.column(0).max_definition_level == 1}")
