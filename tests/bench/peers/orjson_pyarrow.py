"""The script that people write: requests, orjson and pyarrow, column by column."""

import sys

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from common import GROUP_BY, METRICS, PAGE, page, schema, tenant

url, out = sys.argv[1:]
session, custom = tenant(url)
schema = schema(custom)
offset, total = 0, 1
with pq.ParquetWriter(f"{out}/data.parquet", schema, compression="zstd", compression_level=3) as writer:
    while offset < total:
        answer = orjson.loads(page(session, url, custom, offset))
        records, total = answer["data"], answer["totalRecords"]
        columns = [pa.array([record.get(name) for record in records], pa.string()) for name in GROUP_BY]
        columns[3] = columns[3].cast(schema.field("startTime").type)
        columns += [pa.array([record.get(name) for record in records], pa.float64()) for name in METRICS]
        metrics = [record.get("customMetrics") or {} for record in records]
        columns += [pa.array([values.get(name) for values in metrics], schema.field(name).type) for name in custom]
        writer.write_table(pa.table(columns, schema=schema))
        offset += PAGE
