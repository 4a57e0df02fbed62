"""Reads events by the types of OpenLineage's own client: lineage.py FILE. Ends with an error where one has a member that
they do not know, lacks one that they need, or names another version of their schema."""

import datetime
import json
import sys
import uuid

import attr
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


def facets(members):
    return {name: read(FACETS[name], facet) for name, facet in members.items()}


for line in open(sys.argv[1]):
    event = json.loads(line)
    assert event["schemaURL"] == base.RunEvent._get_schema()
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
