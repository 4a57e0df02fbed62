"""Has the operator run a day, and kills its task once the binary is at work: on_kill.py CONFIG. Prints how it ended."""

import sys
import threading
import time

from cxlake.airflow import CxlakeRunOperator

operator = CxlakeRunOperator(task_id="run", config=sys.argv[1], date="2024-01-01")
ended = []


def execute():
    try:
        ended.append(operator.execute({}))
    except Exception as error:
        ended.append(error)


task = threading.Thread(target=execute)
task.start()
time.sleep(1.5)
began = time.monotonic()
operator.on_kill()
task.join()
print(type(ended[0]).__name__, ended[0], f"after {time.monotonic() - began:.0f} s")
