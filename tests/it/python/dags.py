"""Runs DAGs of the examples by Airflow: dags.py SCENARIOS, a JSON list of objects with `dag`, `config`, `conf` and perhaps
`kill`, after how many seconds the binary is killed. Prints a line of JSON for each: what became of its tasks, what they
returned, and the events of the assets. AIRFLOW_HOME must hold a database."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pendulum
from airflow.dag_processing.dagbag import DagBag
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session


def binaries():
    """The binaries that run for this process."""
    children = [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]
    return [int(child) for child in children if Path(f"/proc/{child}/comm").read_text().strip() == "cxlake"]


def kill_binary(after):
    """Kills the next binary, so many seconds after it began."""
    while not binaries():
        time.sleep(0.05)
    time.sleep(after)
    os.kill(binaries()[0], signal.SIGKILL)


def run(bag, scenario):
    os.environ["CXLAKE_CONFIG"] = scenario["config"]
    if "kill" in scenario:
        threading.Thread(target=kill_binary, args=[scenario["kill"]], daemon=True).start()
    began = time.monotonic()
    ended = bag.dags[scenario["dag"]].test(
        logical_date=pendulum.datetime(2024, 1, 2, tz="America/New_York"),
        run_conf=scenario["conf"])
    tasks = [
        {"task": task.task_id, "state": task.state, "tries": task.try_number,
         "returned": task.xcom_pull(task_ids=task.task_id, map_indexes=task.map_index)}
        for task in sorted(ended.get_task_instances(), key=lambda task: (task.task_id, task.map_index))
    ]
    with create_session() as session:
        events = [event.extra for event in session.query(AssetEvent).filter_by(source_run_id=ended.run_id)]
    return {"state": ended.state, "tasks": tasks, "events": events, "seconds": time.monotonic() - began}


def main():
    examples = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    assert not examples.import_errors, examples.import_errors
    for scenario in json.loads(sys.argv[1]):
        print("\n" + json.dumps(run(examples, scenario), default=str), flush=True)


if __name__ == "__main__":
    main()
