"""pyarrow's own JSON reader reads the pages as files, each as one row."""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.json
import pyarrow.parquet as pq
from common import GROUP_BY, METRICS, schema

folder, out, *custom = sys.argv[1:]
custom = dict(pair.split("=") for pair in custom)
written = schema(custom)
fields = [pa.field(name, pa.string()) for name in GROUP_BY] + [pa.field(name, pa.float64()) for name in METRICS]
metrics = pa.struct([pa.field(name, written.field(name).type) for name in custom])
record = pa.struct(fields + [pa.field("customMetrics", metrics)])
parse = pa.json.ParseOptions(explicit_schema=pa.schema([("data", pa.list_(record))]),
                             unexpected_field_behavior="ignore", newlines_in_values=True)
with pq.ParquetWriter(f"{out}/data.parquet", written, compression="zstd", compression_level=3) as writer:
    for path in sorted(Path(folder).glob("*.json")):
        page = pa.json.read_json(path, read_options=pa.json.ReadOptions(block_size=64 << 20), parse_options=parse)
        records = page.column("data").chunk(0).flatten()
        columns = dict(zip((field.name for field in record), records.flatten()))
        columns |= dict(zip((field.name for field in metrics), columns.pop("customMetrics").flatten()))
        columns["startTime"] = columns["startTime"].cast(written.field("startTime").type)
        writer.write_table(pa.table([columns[name] for name in written.names], schema=written))
