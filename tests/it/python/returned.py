"""What the operator returns of a summary with more windows than Airflow's database should hold."""

from cxlake.airflow import MOST_WINDOWS, CxlakeRunOperator

windows = [{"window": number} for number in range(MOST_WINDOWS + 50)]
returned = CxlakeRunOperator(task_id="run")._outcome(0, {"format": "cxlake.summary/1", "windows": windows}, {})
assert returned["windows"] == windows[:MOST_WINDOWS] and returned["windows_left_out"] == 50, returned
