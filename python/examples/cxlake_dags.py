"""Four ways to run cxlake by Airflow 3. CXLAKE_CONFIG names the configuration, in the environment of the workers."""

import json

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Asset, Param
from airflow.timetables.interval import CronDataIntervalTimetable

from cxlake.airflow import CxlakeRunOperator

CALLS = Asset("cxlake://acme/calls")
START = pendulum.datetime(2024, 1, 1, tz="America/New_York")


def day(default):
    return Param(default, type="string", format="date")



# A day per run: each run reads the day of its interval, in the tenant's zone. Airflow catches up on days that it
# missed; a day whose late records are still to come (settle_delay_mins) is tried again when they have.
with DAG("cxlake_daily", schedule=CronDataIntervalTimetable("0 0 * * *", timezone="America/New_York"),
         start_date=START, catchup=True, max_active_runs=1):
    run = CxlakeRunOperator(
        task_id="run", date="{{ data_interval_start.in_tz('America/New_York').to_date_string() }}", empty="skip",
        outlets=[CALLS], retries=5)

# For tenants that outgrow one machine: a task per window, on as many workers as there are. Each keeps its share of the
# tenant's pace, so that all together stay within requests_per_second.
with DAG("cxlake_sharded", schedule=None, start_date=START, params={"from": day("2024-01-01"), "to": day("2024-01-08")}):
    # By variables, for what somebody triggers a DAG with must not become a command.
    plan = BashOperator(
        task_id="plan", append_env=True, output_processor=json.loads, bash_command="cxlake plan --json",
        env={"CXLAKE_FROM": "{{ params['from'] }}", "CXLAKE_TO": "{{ params['to'] }}"})
    CxlakeRunOperator.partial(task_id="run", share="1/4", retries=5, max_active_tis_per_dagrun=4).expand(
        shard=plan.output)

# Older days, once: what is committed stays as it is, so a backfill that was stopped goes on where it was.
with DAG("cxlake_backfill", schedule=None, start_date=START, params={"from": day("2023-01-01"), "to": day("2024-01-01")}):
    CxlakeRunOperator(
        task_id="run", skip_committed=True, retries=5,
        arguments=["--from", "{{ params['from'] }}", "--to", "{{ params['to'] }}"])

# The warehouse as a task of its own: it is tried again without reading the tenant again.
with DAG("cxlake_load", schedule=[CALLS], start_date=START):
    CxlakeRunOperator(task_id="load", command="load", retries=5)
