"""Says of each line of JSON whether a JSON Schema (draft-07) holds: validate_records.py SCHEMA RECORDS"""

import json
import sys

import jsonschema

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
with open(sys.argv[2]) as file:
    for line in file:
        errors = sorted("".join(f"/{part}" for part in error.absolute_path) for error in validator.iter_errors(json.loads(line)))
        print(errors[0] if errors else "valid")
