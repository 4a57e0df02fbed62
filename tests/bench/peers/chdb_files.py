"""ClickHouse, as chdb, reads the pages as files."""

import sys

import chdb
from common import GROUP_BY, METRICS, TOLERANT

folder, out, *custom = sys.argv[1:]
custom = dict(pair.split("=") for pair in custom)
KINDS = {"number": "Float64", "integer": "Int64", "boolean": "Bool", "string": "String"}
record = [f"{name} Nullable(String)" for name in GROUP_BY] + [f"{name} Nullable(Float64)" for name in METRICS]
record.append("customMetrics Tuple(" + ", ".join(f"{name} Nullable({KINDS[kind]})" for name, kind in custom.items()) + ")")
top = [f"tupleElement(record, '{name}') AS {name}" for name in GROUP_BY if name != "startTime"]
top.append("parseDateTime64BestEffort(assumeNotNull(tupleElement(record, 'startTime')), 6, 'UTC') AS startTime")
top += [f"tupleElement(record, '{name}') AS {name}" for name in METRICS]
top += [f"tupleElement(tupleElement(record, 'customMetrics'), '{name}') AS {name}" for name in custom]
result = chdb.query(f"""
    SELECT {", ".join(top)}
    FROM file('{folder}/*.json', JSONEachRow, 'data Array(Tuple({", ".join(record)}))') ARRAY JOIN data AS record
    INTO OUTFILE '{out}/data.parquet' FORMAT Parquet
    SETTINGS output_format_parquet_compression_method = 'zstd', output_format_compression_level = 3,
             input_format_skip_unknown_fields = 1, input_format_allow_errors_num = {1_000_000 if TOLERANT else 0}, input_format_json_use_string_type_for_ambiguous_paths_in_named_tuples_inference_from_objects = 1
""")
if result.has_error():
    sys.exit(result.error_message())
