"""Every accepted record is valid under the registry's record schema, by the jsonschema package.

record_schema.py REGISTRY.json RECORDS.ndjson
"""

import json
import sys

import jsonschema

schema = json.load(open(sys.argv[1]))["reports"]["calls"]["record_schema"]
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
accepted = rejected = 0
for line in open(sys.argv[2]):
    record = json.loads(line)
    valid = validator.is_valid(json.loads(record["raw"]))
    if record["accepted"]:
        accepted += 1
        if not valid:
            sys.exit(f"accepted, but not valid: {record['raw']}")
    else:
        rejected += not valid
if not accepted or not rejected:
    sys.exit(f"{accepted} accepted and {rejected} rejected records were looked at")
