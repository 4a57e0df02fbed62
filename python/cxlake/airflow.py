"""An operator that runs the binary as an Airflow 3 task.

A task's outcome is the binary's exit code: what no retry can mend fails at once, windows without a record can skip the
task, and everything else is retried, not before the time that the tenant asks for. All state is in the lake, so a task
that was killed is simply run again, on whatever worker.
"""

from __future__ import annotations

import collections
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from airflow.sdk import BaseOperator

try:
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
except ImportError:  # Airflow before 3.2
    from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from cxlake.binary import find_binary

try:
    from airflow.sdk import RetryDecision, RetryPolicy
except ImportError:  # Airflow before 3.3
    RetryPolicy = None

NOT_WORTH_A_RETRY = {2, 3, 4, 6, 10}
"""Exit codes that another try would end with too: configuration, access, drift, quality, a changed lake."""
NOT_LOADED = 8
"""The exit code of a run whose windows are all in the lake, where a warehouse load failed."""
IN_LAKE = {"committed", "unchanged", "empty"}
"""What a summary says of a window that is in the lake."""
EMPTY = 99
"""The exit code of a run that found nothing, with `empty="skip"`."""
MOST_WINDOWS = 200
"""Windows of a summary that are returned as XCom, and manifests of an asset's event: both are kept in Airflow's database."""
LONGEST_WAIT = 900
"""Seconds that a task waits itself for its retry to be worth it, where Airflow cannot (before 3.3)."""
LONGEST_RETRY = 2 * 24 * 60 * 60
"""Seconds that a task stays up for retry: a date that lies years ahead is a mistake, not to be waited for."""
LONGEST_OWN_DELAY = 24 * 60 * 60
"""Seconds that Airflow itself lets delays grow to (`max_task_retry_delay`)."""
LAST_WORDS = 20
"""Lines of the binary's stderr that are told where it ends without a summary, as it does for a wrong argument."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
LOG_LEVELS = {"TRACE": 10, "DEBUG": 10, "INFO": 20, "WARN": 30, "ERROR": 40}


class CxlakeError(AirflowException):
    """A failure that is worth a retry, in `retry_after_seconds` at the earliest, where that is known."""

    def __init__(self, message: str, retry_after_seconds: int | None):
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


if RetryPolicy is not None:

    class CxlakeRetryPolicy(RetryPolicy):
        """Retries as the task says, by its `retry_delay`, but not before the time that the tenant asks for; where that is
        days away, the task fails."""

        def evaluate(self, exception, try_number, max_tries, context=None):
            wait = getattr(exception, "retry_after_seconds", None)
            own = getattr((context or {}).get("task"), "retry_delay", None) or timedelta()
            if wait is None or wait <= own.total_seconds():
                return RetryDecision.default()
            if wait > LONGEST_RETRY:
                return RetryDecision.fail(f"a retry is worth it in {wait} s only: run the task again then")
            return RetryDecision.retry(timedelta(seconds=wait), f"the tenant asks to wait {wait} s")

        def serialize(self):
            return {}


class CxlakeRunOperator(BaseOperator):
    """Runs `cxlake run` (or `load`, with `command`), and returns its summary as XCom: of a long one the first 200 windows,
    and `windows_left_out`.

    :param config: the configuration; `cxlake.toml` of the worker's folder, or CXLAKE_CONFIG, if left out
    :param date: one day in the tenant's zone that is over:
        `{{ data_interval_start.in_tz('America/New_York').to_date_string() }}`, with CronDataIntervalTimetable. Under Airflow
        3's own `@daily`, `{{ ds }}` is the day that has just begun.
    :param window: two instants, `{{ data_interval_start }}/{{ data_interval_end }}`; a zero-width one is refused
        (Airflow 3's own `@daily` gives one)
    :param shard: one element of `plan --json`
    :param tenants: only these tenants
    :param reports: only these reports
    :param skip_committed: leaves committed windows alone (backfills)
    :param share: this task's part of the tenant's pace, `1/8` where eight tasks run at once
    :param empty: `skip` skips the task where every window is empty
    :param command: `run` or `load`
    :param arguments: more arguments of the command line; never secrets
    :param env: variables beside those of the worker: credentials from an Airflow connection, for example
    :param binary: the binary's path, where it is not the environment's
    :param stop_within: seconds that the binary has to end after SIGTERM. Airflow may kill the task itself earlier; the
        binary ends then too, for it is told when its task is gone (on Linux)

    The first of `outlets` gets an event with the rows, manifests and run id of the task in its `extra`.
    """

    template_fields: Sequence[str] = ("config", "date", "window", "shard", "tenants", "reports", "share", "arguments", "env")
    template_fields_renderers = {"env": "json"}
    ui_color = "#dbeafe"

    def __init__(
        self,
        *,
        config: str | None = None,
        date: str | None = None,
        window: str | None = None,
        shard: str | Mapping[str, Any] | None = None,
        tenants: str | Sequence[str] = (),
        reports: str | Sequence[str] = (),
        skip_committed: bool = False,
        share: str | None = None,
        empty: str = "ok",
        command: str = "run",
        arguments: str | Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        binary: str | None = None,
        stop_within: int = 45,
        **kwargs: Any,
    ):
        # `partial` passes None.
        if RetryPolicy is not None and kwargs.get("retry_policy") is None:
            kwargs["retry_policy"] = CxlakeRetryPolicy()
        super().__init__(**kwargs)
        self.config = config
        self.date = date
        self.window = window
        self.shard = shard
        self.tenants = tenants
        self.reports = reports
        self.skip_committed = skip_committed
        self.share = share
        self.empty = empty
        self.command = command
        self.arguments = arguments
        self.env = env
        self.binary = binary
        self.stop_within = stop_within
        self._process: subprocess.Popen[str] | None = None
        self._last_words: collections.deque[str] = collections.deque()

    def command_line(self) -> list[str]:
        """The binary and its arguments."""
        line = self._beginning(self.command)
        shard = self.shard if self.shard is None or isinstance(self.shard, str) else json.dumps(self.shard)
        named = {"--date": self.date, "--window": self.window, "--shard": shard,
                 "--share": self.share, "--empty": self.empty if self.command == "run" else None}
        for flag, value in named.items():
            line += [flag, value] if value else []
        for flag, values in {"--tenant": self.tenants, "--report": self.reports}.items():
            for value in _listed(values):
                line += [flag, value]
        line += ["--skip-committed"] if self.skip_committed else []
        return [*line, *_listed(self.arguments)]

    def _beginning(self, command: str) -> list[str]:
        line = [self.binary or find_binary(), command, "--log-format", "json", "--progress", "never"]
        return [*line, "--config", self.config] if self.config else line

    def execute(self, context: Any) -> dict[str, Any]:
        code, summary = self._run(self.command_line())
        windows = (summary or {}).get("windows") or []
        is_in_lake = windows and all(window["status"] in IN_LAKE for window in windows)
        if code == NOT_LOADED and self.command == "run" and is_in_lake:
            return self._outcome(*self._load_alone(summary), context)
        return self._outcome(code, summary, context)

    def _load_alone(self, summary: dict[str, Any]) -> tuple[int, dict[str, Any] | None]:
        """Tries to load what a run has committed, as often as the task may be retried: a retry would read it all again."""
        windows = summary["windows"]
        days = sorted(date.fromisoformat(window["window"]["date"]) for window in windows)
        line = self._beginning("load")
        for flag, name in (("--tenant", "tenant"), ("--report", "report")):
            for value in sorted({window[name] for window in windows}):
                line += [flag, value]
        line += ["--from", days[0].isoformat(), "--to", (days[-1] + timedelta(days=1)).isoformat()]
        for number in range(self.retries or 0):
            wait = max(self._own_delay(number), min(summary.get("retry_after_seconds") or 0, LONGEST_WAIT))
            self.log.info("all windows are in the lake: trying the load alone in %s s", wait)
            time.sleep(wait)
            code, loaded = self._run(line)
            if code == 0 and loaded is not None:
                return 0, _with_loads(summary, loaded)
            if code != NOT_LOADED or loaded is None:
                return code, loaded
            summary = {**summary, "error": loaded["error"], "retry_after_seconds": loaded["retry_after_seconds"]}
        error = summary.get("error") or {}
        raise AirflowFailException(
            f"{error.get('message')} (exit code {NOT_LOADED}). {error.get('hint') or ''} All windows are in the lake: "
            "`cxlake load` loads them.")

    def _own_delay(self, number: int) -> float:
        """Seconds before a retry, the first being 0, as the task says."""
        growth = self.retry_exponential_backoff or 1
        delay = self.retry_delay.total_seconds() * (2 if growth is True else growth) ** number
        longest = self.max_retry_delay.total_seconds() if self.max_retry_delay else LONGEST_OWN_DELAY
        return min(delay, longest)

    def _run(self, line: list[str]) -> tuple[int, dict[str, Any] | None]:
        """Runs the binary to its end: the exit code, and the summary."""
        self.log.info("running %s", " ".join(line))
        self._process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
            preexec_fn=_ending_with(os.getpid()) if LIBC else None, env={**os.environ, **(self.env or {})})
        lines: list[str] = []
        self._last_words = collections.deque(maxlen=LAST_WORDS)
        reader = threading.Thread(target=lambda: lines.extend(self._process.stdout))
        reader.start()
        try:
            for text in self._process.stderr:
                self._last_words.append(text.rstrip())
                self._log(text.rstrip())
            code = self._process.wait()
        except BaseException:
            self.on_kill()
            raise
        finally:
            reader.join()
        return code, _summary(lines)

    def _outcome(self, code: int, summary: dict[str, Any] | None, context: Any) -> dict[str, Any]:
        if code == EMPTY:
            raise AirflowSkipException("every window is empty")
        if code != 0:
            error = (summary or {}).get("error") or {}
            last_words = "\n".join(self._last_words)
            message = error.get("message") or f"the binary ended with {code}, and without a summary: {last_words}"
            message = f"{message} (exit code {code}). {error.get('hint') or ''}".strip()
            if code in NOT_WORTH_A_RETRY:
                raise AirflowFailException(message)
            wait = (summary or {}).get("retry_after_seconds")
            if RetryPolicy is None and wait:
                # Before Airflow 3.3 a task cannot say when its retry is worth it.
                self.log.info("the tenant asks to wait %s s; waiting at most %s s here", wait, LONGEST_WAIT)
                time.sleep(min(wait, LONGEST_WAIT))
            raise CxlakeError(message, wait)
        if summary is None:
            raise CxlakeError("the binary printed no summary", None)
        self._tell_assets(summary, context)
        return {**summary, "windows": summary["windows"][:MOST_WINDOWS],
                "windows_left_out": max(0, len(summary["windows"]) - MOST_WINDOWS)}

    def _tell_assets(self, summary: dict[str, Any], context: Any) -> None:
        if not self.outlets:
            return
        windows = summary["windows"]
        extra = {
            "run_id": summary["run_id"],
            "rows": sum(window["rows"]["accepted"] or 0 for window in windows),
            "quarantined": sum(window["rows"]["quarantined"] or 0 for window in windows),
            "manifests": [window["manifest"] for window in windows if window["manifest"]][:MOST_WINDOWS],
        }
        context["outlet_events"][self.outlets[0]].extra.update(extra)

    def _log(self, text: str) -> None:
        try:
            event = json.loads(text)
            message = event.pop("message")
            level = LOG_LEVELS.get(event.pop("level", "INFO"), 20)
        except (ValueError, KeyError, TypeError, AttributeError):
            self.log.info(text)
            return
        # What Airflow's own log says of each line.
        for name in ("timestamp", "target", "run_id", "dag_id", "task_id", "dag_run_id", "try_number"):
            event.pop(name, None)
        self.log.log(level, "%s %s", message, " ".join(f"{name}={value}" for name, value in event.items()))

    def on_kill(self) -> None:
        """Stops the binary: it ends its calls and cancels what warehouses do for it; else it is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(self.stop_within)
        except subprocess.TimeoutExpired:
            process.kill()


def _listed(values: str | Sequence[str]) -> Sequence[str]:
    """One text is a list of one: so a template can be written without brackets."""
    return [values] if isinstance(values, str) and values else values


def _with_loads(summary: dict[str, Any], loaded: dict[str, Any]) -> dict[str, Any]:
    """The summary of a run whose loads were made good."""
    def key(window: dict[str, Any]) -> tuple[str, str, str]:
        return window["tenant"], window["report"], window["window"]["start"]

    loads = {key(window): window["load"] for window in loaded["windows"]}
    windows = [{**window, "load": loads.get(key(window), window["load"])} for window in summary["windows"]]
    ended = {name: loaded[name] for name in ("exit_code", "error", "retry_after_seconds")}
    status = "empty" if all(window["status"] == "empty" for window in windows) else "ok"
    return {**summary, **ended, "status": status, "windows": windows}


def _ending_with(parent: int) -> Callable[[], None]:
    """Has a child sent SIGTERM when its parent is gone: a task that is killed must not leave a run behind."""

    def ask() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            # It was gone before the child could ask.
            os._exit(128 + signal.SIGTERM)

    return ask


def _summary(lines: Sequence[str]) -> dict[str, Any] | None:
    """The last line of stdout, if it is a summary."""
    try:
        summary = json.loads(lines[-1])
    except (IndexError, ValueError):
        return None
    return summary if isinstance(summary, dict) and summary.get("format") == "cxlake.summary/1" else None
