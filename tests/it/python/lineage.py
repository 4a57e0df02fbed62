"""Holds events against OpenLineage: lineage.py FILE SCHEMAS. They must be valid under its public JSON Schemas, of which
a folder has the core and most facets; and its own client's types must know every member, have all that they need, and
be of the same versions."""

import datetime
import json
import pathlib
import sys
import uuid

import attr
import jsonschema
import referencing
from openlineage.client.event_v2 import RunState
from openlineage.client.generated import (
    base, column_lineage_dataset, data_quality_assertions_dataset, dataset_version_dataset, error_message_run, job_type_job,
    nominal_time_run, output_statistics_output_dataset, parent_run, processing_engine_run, schema_dataset, storage_dataset)

FACETS = {
    "nominalTime": nominal_time_run.NominalTimeRunFacet, "errorMessage": error_message_run.ErrorMessageRunFacet,
    "processing_engine": processing_engine_run.ProcessingEngineRunFacet, "parent": parent_run.ParentRunFacet,
    "jobType": job_type_job.JobTypeJobFacet, "schema": schema_dataset.SchemaDatasetFacet,
    "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet, "storage": storage_dataset.StorageDatasetFacet,
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
}
MEMBERS = {
    (schema_dataset.SchemaDatasetFacet, "fields"): schema_dataset.SchemaDatasetFacetFields,
    (column_lineage_dataset.ColumnLineageDatasetFacet, "fields"): column_lineage_dataset.Fields,
    (column_lineage_dataset.Fields, "inputFields"): column_lineage_dataset.InputField,
    (column_lineage_dataset.InputField, "transformations"): column_lineage_dataset.Transformation,
    (data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet, "assertions"):
        data_quality_assertions_dataset.Assertion,
}


def read(kind, members):
    """An object as one of a type, and what is inside of it as what it should be."""
    known = {field.name.lstrip("_"): field for field in attr.fields(kind)}
    given = {name.lstrip("_"): value for name, value in members.items()}
    schema = given.pop("schemaURL", None)
    assert schema is None or schema == kind._get_schema(), f"{schema} is not {kind._get_schema()}"
    for name, value in given.items():
        assert name in known, f"{kind.__name__} has no {name}"
        inner = MEMBERS.get((kind, name))
        for part in [] if inner is None else value.values() if isinstance(value, dict) else value:
            read(inner, part)
    for name, field in known.items():
        assert field.default is not attr.NOTHING or name in given, f"{kind.__name__} needs {name}"
    return kind(**given)


schemas = [json.loads(path.read_text()) for path in pathlib.Path(sys.argv[2]).rglob("*.json")]
registry = referencing.Registry().with_resources((schema["$id"], referencing.Resource.from_contents(schema)) for schema in schemas)
published = {schema["$id"].rsplit("/", 1)[1]: schema["$id"] for schema in schemas}
unpublished = set()


def hold_against(schema, value):
    """Validates a value under the schema of a name, in the version that is at hand."""
    name = schema.partition("#")[0].rsplit("/", 1)[1]
    if name not in published:
        return unpublished.add(name)
    whole = {"$ref": published[name] + "#" + schema.partition("#")[2]}
    validator = jsonschema.Draft202012Validator(whole, registry=registry, format_checker=jsonschema.FormatChecker())
    validator.validate(value)


def facets(members):
    for facet in members.values():
        hold_against(facet["_schemaURL"], facet)
    return {name: read(FACETS[name], facet) for name, facet in members.items()}


for line in open(sys.argv[1]):
    event = json.loads(line)
    assert event["schemaURL"] == base.RunEvent._get_schema()
    hold_against(event["schemaURL"], event)
    RunState[event["eventType"]]
    datetime.datetime.fromisoformat(event["eventTime"])
    uuid.UUID(event["run"]["runId"])
    run = base.Run(event["run"]["runId"], facets(event["run"]["facets"]))
    job = base.Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"]))
    for kind, inner, datasets in ((base.InputDataset, "inputFacets", event["inputs"]),
                                  (base.OutputDataset, "outputFacets", event["outputs"])):
        for dataset in datasets:
            assert set(dataset) <= {"namespace", "name", "facets", inner}, dataset
            kind(dataset["namespace"], dataset["name"], facets=facets(dataset["facets"]),
                 **{inner: facets(dataset.get(inner, {}))})
    base.RunEvent(eventTime=event["eventTime"], producer=event["producer"], run=run, job=job)
assert unpublished <= {f"{name}Facet.json" for name in
                       ("DataQualityAssertionsDataset", "DatasetVersionDataset", "NominalTimeRun", "StorageDataset")}, unpublished
