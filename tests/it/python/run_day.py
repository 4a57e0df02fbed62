"""Has the operator run a day, for somebody to kill this process: run_day.py CONFIG."""

import sys

from cxlake.airflow import CxlakeRunOperator

CxlakeRunOperator(task_id="run", config=sys.argv[1], date="2024-01-01").execute({})
