"""What the operator makes of its arguments and of a run's end, without a run."""

import json
import tempfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from airflow.sdk import RetryDecision
from cxlake.airflow import MOST_WINDOWS, CxlakeError, CxlakeRetryPolicy, CxlakeRunOperator, AirflowFailException

# More windows than Airflow's database should hold.
windows = [{"window": number} for number in range(MOST_WINDOWS + 50)]
returned = CxlakeRunOperator(task_id="run")._outcome(0, {"format": "cxlake.summary/1", "windows": windows}, {})
assert returned["windows"] == windows[:MOST_WINDOWS] and returned["windows_left_out"] == 50, returned

# One text is a list of one.
line = CxlakeRunOperator(task_id="run", tenants="acme", reports=["a", "b"], arguments="--dry-run").command_line()
assert line[-7:] == ["--tenant", "acme", "--report", "a", "--report", "b", "--dry-run"], line


def check_retry(wait, own_delay, expected):
    context = {"task": SimpleNamespace(retry_delay=timedelta(seconds=own_delay))}
    decided = CxlakeRetryPolicy().evaluate(CxlakeError("", wait), 1, 5, context)
    assert (decided.action, decided.retry_delay) == (expected.action, expected.retry_delay), (wait, own_delay, decided)


check_retry(None, 300, RetryDecision.default())
check_retry(1, 300, RetryDecision.default())
check_retry(600, 300, RetryDecision.retry(timedelta(seconds=600)))
check_retry(365 * 24 * 60 * 60, 300, RetryDecision.fail())


def check_load(codes, retries, expected, windows=1):
    """What becomes of a run whose load failed, where `load` ends with each of the codes in turn."""
    folder = Path(tempfile.mkdtemp())

    def summary(code, status):
        window = {"tenant": "acme", "report": "calls", "window": {"start": "2024-01-01T05:00:00Z", "date": "2024-01-01"},
                  "status": "committed", "load": {"bq": {"status": status}}}
        error = {"message": "failed to load", "hint": None} if code else None
        return json.dumps({"format": "cxlake.summary/1", "exit_code": code, "error": error, "retry_after_seconds": None,
                           "windows": [window] if windows else []})

    for number, code in enumerate(codes):
        (folder / f"summary{number}").write_text(summary(code, "failed" if code else "loaded"))
        (folder / f"code{number}").write_text(str(code))
    binary = folder / "cxlake"
    binary.write_text(f"""#!/bin/sh
cd {folder}
number=$(ls | grep -c asked)
echo "$@" > "asked$number"
cat "summary$number"
exit "$(cat "code$number")"
""")
    binary.chmod(0o755)
    operator = CxlakeRunOperator(
        task_id="run", binary=str(binary), config="my.toml", date="2024-01-01", retries=retries, retry_delay=timedelta())
    try:
        returned = operator.execute({})
        ended = returned["exit_code"], returned["windows"][0]["load"]["bq"]["status"]
    except (CxlakeError, AirflowFailException) as error:
        ended = type(error)
    asked = [(folder / f"asked{number}").read_text().split() for number in range(len(codes))]
    load = "load --log-format json --progress never --config my.toml --tenant acme --report calls --from 2024-01-01 --to 2024-01-02"
    assert [words[0] for words in asked] == ["run", *["load"] * (len(codes) - 1)], asked
    assert all(" ".join(words) == load for words in asked[1:]), asked
    assert ended == expected, (codes, ended)


def check_delay(expected, **arguments):
    operator = CxlakeRunOperator(task_id="run", retry_delay=timedelta(minutes=30), **arguments)
    assert [operator._own_delay(number) / 60 for number in range(3)] == expected, arguments


check_delay([30, 30, 30])
check_delay([30, 60, 120], retry_exponential_backoff=True)
check_delay([30, 60, 90], retry_exponential_backoff=2.0, max_retry_delay=timedelta(minutes=90))
assert CxlakeRunOperator(task_id="run", retry_exponential_backoff=True)._own_delay(20) == 24 * 60 * 60
check_load([8, 8, 0], 5, (0, "loaded"))
check_load([8, 8, 8], 2, AirflowFailException)
check_load([8], 0, AirflowFailException)
check_load([8, 5], 5, CxlakeError)
check_load([5], 5, CxlakeError)
check_load([8], 5, CxlakeError, windows=0)
