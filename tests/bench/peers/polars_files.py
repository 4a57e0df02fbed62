"""polars reads the pages as files."""

import sys
from pathlib import Path

import polars as pl
from common import GROUP_BY, METRICS

folder, out, *custom = sys.argv[1:]
custom = dict(pair.split("=") for pair in custom)
KINDS = {"number": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean, "string": pl.String}
record = {name: pl.String for name in GROUP_BY} | {name: pl.Float64 for name in METRICS}
record["customMetrics"] = pl.Struct({name: KINDS[kind] for name, kind in custom.items()})
schema = {"data": pl.List(pl.Struct(record))}
pages = []
for path in sorted(Path(folder).glob("*.json")):
    page = pl.read_json(path, schema=schema).explode("data").unnest("data").unnest("customMetrics")
    pages.append(page.with_columns(pl.col("startTime").str.to_datetime(time_unit="us", time_zone="UTC")))
pl.concat(pages).write_parquet(f"{out}/data.parquet", compression="zstd", compression_level=3)
