"""Runs a DAG of the examples by a whole Airflow: scheduler, API server and LocalExecutor, whose tasks are processes of
their own that run at once. standalone.py SCENARIO PORT, a JSON object with `dag`, `config` and `conf`, and the API
server's port; prints a line of JSON: what became of its tasks, and how many of them ran at the same time. AIRFLOW_HOME
must hold a database."""

import json
import os
import signal
import subprocess
import sys
import time

PATIENCE = 240


def airflow(*arguments):
    ended = subprocess.run(["airflow", *arguments], capture_output=True, text=True)
    return ended.returncode == 0, ended.stdout + ended.stderr


def until(done, what):
    began = time.monotonic()
    while not (outcome := done()):
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(f"{what} did not come within {PATIENCE} s")
        time.sleep(1)
    return outcome


def ended_run(dag):
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        run = session.query(DagRun).filter_by(dag_id=dag).one()
        if run.state not in ("success", "failed"):
            return None
        tasks = session.query(TaskInstance).filter_by(dag_id=dag, run_id=run.run_id).all()
        return run.state, [(task.task_id, task.map_index, task.state, task.start_date, task.end_date) for task in tasks]


def main():
    scenario = json.loads(sys.argv[1])
    port = sys.argv[2]
    os.environ.update(
        PATH=f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        AIRFLOW__API__HOST="127.0.0.1", AIRFLOW__API__PORT=port,
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
        AIRFLOW__CORE__EXECUTOR="LocalExecutor", AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__TRIGGERER__DEFAULT_CAPACITY="1", CXLAKE_CONFIG=scenario["config"])
    log = open(os.path.join(os.environ["AIRFLOW_HOME"], "standalone.log"), "w")
    server = subprocess.Popen(["airflow", "standalone"], stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: scenario["dag"] in airflow("dags", "list")[1], "the DAG")
        for command in (["unpause", scenario["dag"]], ["trigger", scenario["dag"], "--conf", json.dumps(scenario["conf"])]):
            done, said = airflow("dags", *command)
            assert done, said
        state, tasks = until(lambda: ended_run(scenario["dag"]), "the run's end")
    except TimeoutError:
        print(open(log.name).read(), file=sys.stderr)
        raise
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
    mapped = [(start, end) for _, index, _, start, end in tasks if index >= 0]
    at_once = max(sum(start <= moment < end for start, end in mapped) for moment, _ in mapped)
    print(json.dumps({
        "state": state, "at_once": at_once,
        "tasks": sorted([task, index, ended] for task, index, ended, _, _ in tasks)}))


if __name__ == "__main__":
    main()
