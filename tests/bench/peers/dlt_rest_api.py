"""dlt's rest_api source into Parquet, with the settings that its page on performance names."""

import os
import sys

url, out = sys.argv[1:]
os.environ.update({
    "DATA_WRITER__BUFFER_MAX_ITEMS": "100000",
    "NORMALIZE__DATA_WRITER__BUFFER_MAX_ITEMS": "100000",
    "NORMALIZE__DATA_WRITER__COMPRESSION": "zstd",
    "NORMALIZE__WORKERS": "2",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DLT_DATA_DIR": f"{out}/state",
})
import dlt
from common import GROUP_BY, METRICS, PAGE, TOLERANT, request, tenant
from dlt.sources.rest_api import rest_api_source

session, custom = tenant(url)
kinds = {"number": "double", "integer": "bigint", "boolean": "bool", "string": "text"}
columns = {name: {"data_type": "text"} for name in GROUP_BY[:3]} | {"startTime": {"data_type": "timestamp"}}
columns |= {name: {"data_type": "double"} for name in METRICS}
columns |= {f"customMetrics__{name}": {"data_type": kinds[kind]} for name, kind in custom.items()}
source = rest_api_source({
    "client": {"base_url": url, "headers": {"authorization": session.headers["authorization"]}},
    "resources": [{
        "name": "calls",
        "columns": columns,
        "endpoint": {
            "path": "api/v2/reporting/data-download", "method": "POST", "json": request(custom),
            "data_selector": "data",
            "paginator": {
                "type": "offset", "limit": PAGE, "total_path": "totalRecords",
                "offset_body_path": "offset", "limit_body_path": "limit",
            },
        },
    }],
})
pipeline = dlt.pipeline("peer", destination=dlt.destinations.filesystem(f"file://{out}/lake"), dataset_name="calls",
                        pipelines_dir=f"{out}/pipelines")
contract = {"schema_contract": {"columns": "evolve", "data_type": "discard_value"}} if TOLERANT else {}
pipeline.run(source, loader_file_format="parquet", **contract)
