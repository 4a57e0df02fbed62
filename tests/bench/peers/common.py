"""What the peers share: the tenant's calls, and the report that all of them load."""

import os

import pyarrow as pa
import requests

# Whether tools that can be told to go on where a value is wrong are told so.
TOLERANT = os.environ.get("CXLAKE_BENCH_TOLERANT") == "1"

METRICS = ["duration", "holdTime", "wrapUpTime", "talkTime"]
GROUP_BY = ["interactionId", "agentId", "dispositionCode", "startTime"]
WINDOW = {"from": "2024-01-01T05:00:00.000Z", "to": "2024-01-02T04:59:59.999Z"}
PAGE = 10_000
ARROW_TYPES = {"number": pa.float64(), "integer": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}
SCOPES = "api:reporting:read api:data-download:read api:custom-metrics:read"


def tenant(url):
    """A session that is signed in, and the data type of each published custom metric by id."""
    session = requests.Session()
    answer = session.post(f"{url}/api/v2/oauth/token", data={
        "grant_type": "client_credentials", "client_id": "bench", "client_secret": "bench", "scope": SCOPES})
    answer.raise_for_status()
    session.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
    answer = session.get(f"{url}/api/v2/reporting/custom-metrics")
    answer.raise_for_status()
    published = (metric for metric in answer.json()["customMetrics"] if metric["status"] == "published")
    return session, {metric["id"]: metric["dataType"] for metric in published}


def request(custom):
    return {
        "report": "Interaction/Call", "metrics": METRICS, "customMetrics": list(custom), "groupBy": GROUP_BY,
        "filter": {"date": WINDOW, "timeZone": "America/New_York"}, "limit": PAGE, "offset": 0,
    }


def page(session, url, custom, offset):
    """The text of one page."""
    answer = session.post(f"{url}/api/v2/reporting/data-download", json=request(custom) | {"offset": offset})
    answer.raise_for_status()
    return answer.content


def schema(custom, timestamp=pa.timestamp("us", tz="UTC")):
    """The columns that all peers write."""
    columns = [(name, pa.string()) for name in GROUP_BY[:3]] + [("startTime", timestamp)]
    columns += [(name, pa.float64()) for name in METRICS]
    return pa.schema(columns + [(name, ARROW_TYPES[kind]) for name, kind in custom.items()])
