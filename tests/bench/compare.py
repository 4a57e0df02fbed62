"""Loads one day of a simulated tenant with cxlake and with what users would pick instead, in interleaved rounds.

CPU seconds of a process and its children are compared, for they depend least on what else the machine does; ratios
are taken within a round. A Markdown table of the medians goes to target/bench/comparison.md.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE / "peers"))

import common
from chart import svg

# Script or binary of each peer, and where it reads from.
PEERS = {
    "plain Rust": (ROOT / "target/plain-rust/release/plain-rust", "http"),
    "orjson + pyarrow": ("orjson_pyarrow.py", "http"),
    "dlt rest_api": ("dlt_rest_api.py", "http"),
    "DuckDB": ("duckdb_files.py", "files"),
    "polars": ("polars_files.py", "files"),
    "pyarrow.json": ("pyarrow_json_files.py", "files"),
    "ClickHouse (chdb)": ("chdb_files.py", "files"),
}
CONFIGURATION = """
[tenants.bench]
auth_url = "{url}"
client_id = {{ env = "CXONE_CLIENT_ID" }}
client_secret = {{ env = "CXONE_CLIENT_SECRET" }}
[tenants.bench.regions]
na1 = "{url}"
[tenants.bench.limits]
requests_per_second = 1000.0
burst = 1000
[reports.calls]
tenant = "bench"
report = "Interaction/Call"
metrics = ["duration", "holdTime", "wrapUpTime", "talkTime"]
custom_metrics = "*"
group_by = ["interactionId", "agentId", "dispositionCode", "startTime"]
key = ["interactionId"]
time_column = "startTime"
page_records = {page}
[reports.calls.columns]
startTime = {{ type = "timestamp" }}
[lake]
url = "{lake}"
"""
# However many rejects a window has, it is published.
ALL_REJECTED = "[reports.calls.policy]\nmax_quarantined_percent = 100.0\n"


# Values whose pages the tenant keeps, so that all rounds but the first are spared its work: some gigabytes of text.
KEPT_VALUES = 100_000_000


class Tenant:
    """A simulated tenant with so many records a day."""

    def __init__(self, binaries, records, **settings):
        settings = {"records_per_day": records, "client_id": "bench", "client_secret": "bench", "bad_every": 0,
                    "duplicate_every": 0, "unknown_every": 0} | settings
        file = tempfile.NamedTemporaryFile("w", suffix=".json", delete=False)
        with file:
            json.dump(settings, file)
        self.process = subprocess.Popen([binaries / "cxlake-simulator", "serve", "--settings", file.name],
                                        stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]
        os.unlink(file.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def save_pages(self, folder):
        """All pages as files; the custom metrics."""
        session, custom = common.tenant(self.url)
        offset, total = 0, 1
        while offset < total:
            text = common.page(session, self.url, custom, offset)
            total = json.loads(text)["totalRecords"]
            (folder / f"{offset:09}.json").write_bytes(text)
            offset += common.PAGE
        return custom


def anonymous_kib(pid):
    """Memory of a process and its children that no file backs."""
    status = Path(f"/proc/{pid}/status").read_text()
    own = sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon:"))
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(anonymous_kib(child) for child in children)


def measure(command, **options):
    """CPU seconds of a command and its children, its wall time, and the most memory of its own that they had."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    most = [0]

    def watch():
        while True:
            if process.returncode is not None:
                return
            try:
                most[0] = max(most[0], anonymous_kib(process.pid))
            except OSError:
                # A child that ended meanwhile.
                pass
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    words = {}
    readers = [threading.Thread(target=lambda name=name, pipe=pipe: words.update({name: pipe.read()}))
               for name, pipe in (("out", process.stdout), ("err", process.stderr))]
    for reader in readers:
        reader.start()
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    wall = time.monotonic() - start
    for thread in (watcher, *readers):
        thread.join()
    if process.returncode != 0:
        raise RuntimeError(f"{command} ended with {process.returncode}: {words['err'].decode()[-3000:]}")
    return {"cpu": usage.ru_utime + usage.ru_stime, "wall": wall, "rss_mib": most[0] / 1024, "out": words["out"]}


def cxlake(binaries, tenant, out, days, more=""):
    configuration = out / "cxlake.toml"
    configuration.write_text(CONFIGURATION.format(url=tenant.url, lake=out / "lake", page=common.PAGE) + more)
    environment = os.environ | {"CXONE_CLIENT_ID": "bench", "CXONE_CLIENT_SECRET": "bench"}
    dates = ["--from", "2024-01-01", "--to", f"2024-01-{days + 1:02}"]
    return measure([binaries / "cxlake", "run", "--config", configuration, *dates], env=environment)


def command_of(script, source, out):
    """A peer's command line: Python's are scripts here."""
    if isinstance(script, Path):
        return [script, *source, out]
    return [sys.executable, HERE / "peers" / script, *source, out]


def ratios(results, name):
    """A tool's CPU times cxlake's, round by round."""
    return [other["per_million"] / own["per_million"] for other, own in zip(results[name], results["cxlake"])]


def table(results, failed, arguments):
    """The medians as Markdown, each peer with its ratio to cxlake in the same round."""
    lines = [
        f"{arguments.records:,} records a day, {arguments.extra_metrics} metrics more than the usual, "
        f"{arguments.rounds} interleaved rounds"
        f"{', gzip' if arguments.gzip else ''}{', plain numbers' if arguments.plain_numbers else ''}.",
        "",
        "| | version | reads | CPU seconds a million records | times cxlake's (least to most) | MiB | bytes a record |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rounds in results.items():
        reads = PEERS[name][1] if name in PEERS else "http"
        if name in failed:
            lines.append(f"| {name} | {version(name)} | {reads} | ends with: {failed[name]} | | | |")
            continue
        times = ratios(results, name)
        median = {key: statistics.median(round[key] for round in rounds) for key in rounds[0]}
        lines.append(
            f"| {name} | {version(name)} | {reads} | {median['per_million']:.2f} | {statistics.median(times):.2f} "
            f"({min(times):.2f} to {max(times):.2f}) | {median['rss_mib']:.0f} | {median['bytes_per_record']:.1f} |")
    return "\n".join(lines) + "\n"


def version(name):
    """The version of a peer's package."""
    packages = {"orjson + pyarrow": "orjson", "dlt rest_api": "dlt", "DuckDB": "duckdb", "polars": "polars",
                "pyarrow.json": "pyarrow", "ClickHouse (chdb)": "chdb"}
    return importlib.metadata.version(packages[name]) if name in packages else ""


def one_round(name, arguments, tenant, pages, custom):
    """What one tool needed for the day, cxlake for as many days as were asked for."""
    with tempfile.TemporaryDirectory() as out:
        out = Path(out)
        days = 1
        if name == "cxlake":
            days = arguments.days
            result = cxlake(arguments.binaries, tenant, out, days, ALL_REJECTED)
        else:
            script, source = PEERS[name]
            command = command_of(script, [tenant.url] if source == "http" else [pages], out)
            result = measure(command + (custom if source == "files" else []))
        # What dlt makes on its way to the lake is Parquet too.
        lake = out / "lake" if (out / "lake").exists() else out
        sizes = [path.stat().st_size for path in lake.rglob("*.parquet") if "quarantine" not in path.parts]
        result["per_million"] = result["cpu"] / (arguments.records * days) * 1e6
        result["bytes_per_record"] = sum(sizes) / (arguments.records * days)
        del result["out"]
        print(f"{name:20} {result['per_million']:8.2f} CPU s a million, {result['wall']:7.2f} s, "
              f"{result['rss_mib']:7.1f} MiB, {result['bytes_per_record']:6.1f} bytes a record", flush=True)
        return result


def parse_arguments():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binaries", type=Path, default=ROOT / "target/bench-build/release")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--records", type=int, default=1_000_000, help="a day")
    arguments.add_argument("--days", type=int, default=1, help="of cxlake's runs; the peers load one")
    arguments.add_argument("--extra-metrics", type=int, default=0)
    arguments.add_argument("--bad-every", type=int, default=0, help="each so many records one breaks a rule; then the "
                           "peers are of no use")
    arguments.add_argument("--bad-rule", dest="bad_rules", action="append", default=[], help="of these; else of all, and duplicate "
                           "keys have a window read twice")
    arguments.add_argument("--gzip", action="store_true")
    arguments.add_argument("--plain-numbers", action="store_true", help="no 6.0 for 6: some peers end at it")
    arguments.add_argument("--only", action="append", choices=["cxlake", *PEERS], help="this peer, beside cxlake")
    arguments.add_argument("--out", type=Path, help="a JSON file for all measurements")
    return arguments.parse_args()


def main():
    arguments = parse_arguments()
    names = ["cxlake", *(name for name in PEERS if arguments.only is None or name in arguments.only)]
    results, failed = {name: [] for name in names}, {}
    names_of_settings = ("extra_metrics", "bad_every", "bad_rules", "gzip", "plain_numbers")
    settings = {name: getattr(arguments, name) for name in names_of_settings}
    values = arguments.records * arguments.days * (20 + arguments.extra_metrics)
    settings["keep_pages"] = values <= KEPT_VALUES
    with tempfile.TemporaryDirectory() as pages, Tenant(arguments.binaries, arguments.records, **settings) as tenant:
        pages = Path(pages)
        reads_files = any(PEERS[name][1] == "files" for name in names if name in PEERS)
        custom = tenant.save_pages(pages) if reads_files else {}
        custom = [f"{name}={kind}" for name, kind in custom.items()]
        for number in range(arguments.rounds):
            # Each begins a round in its turn, so that none always follows the same other one.
            for name in names[number % len(names):] + names[:number % len(names)]:
                if name in failed:
                    continue
                try:
                    results[name].append(one_round(name, arguments, tenant, pages, custom))
                except RuntimeError as error:
                    if name == "cxlake":
                        raise
                    # What a peer cannot load as the registry types it is part of the comparison.
                    print(f"{name}: {error}", file=sys.stderr, flush=True)
                    failed[name] = str(error).strip().splitlines()[-1]
    text = table(results, failed, arguments)
    print(f"\n{text}")
    comparison = ROOT / "target/bench/comparison.md"
    comparison.parent.mkdir(parents=True, exist_ok=True)
    comparison.write_text(text)
    medians = {name: statistics.median(ratios(results, name)) for name in names if name not in failed}
    caption = f"CPU a record, times cxlake's (logarithmic): {arguments.records:,} records, {arguments.rounds} rounds"
    comparison.with_suffix(".svg").write_text(svg(medians, caption))
    if arguments.out:
        arguments.out.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
