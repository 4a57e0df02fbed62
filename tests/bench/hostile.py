"""Gives cxlake and what users would pick instead pages with one hostile record each, and says what became of it.

A front passes a simulated tenant's answers on, but for the page, which has three records: the second one is hostile. A
Markdown table goes to target/bench/hostile.md.
"""

import argparse
import http.server
import json
import os
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq

from compare import ALL_REJECTED, PEERS, ROOT, Tenant, common, command_of, cxlake

ID = "hostile-record"
# Those that can be told to go on where a value is wrong, by the setting that tells them.
TOLERANT = {
    "dlt, discard_value": PEERS["dlt rest_api"],
    "DuckDB, ignore_errors": PEERS["DuckDB"],
    "ClickHouse, allow_errors": PEERS["ClickHouse (chdb)"],
}
CATALOG = [{"id": f"cm_{number:016x}", "displayName": kind, "dataType": kind, "status": "published"}
           for number, kind in enumerate(("number", "integer", "boolean", "string"))]
# The field that is looked at, and the record's own members: what JSON's text has in the place of a good record's.
CASES = {
    "a number as a string": ("duration", {"duration": '"12.5"'}),
    "a number that float64 has not": ("duration", {"duration": "1e400"}),
    "more digits than float64 has": ("duration", {"duration": "12.500000000000000001"}),
    "a field twice": ("duration", {"duration": '12.5, "duration": 99.5'}),
    "an integer beyond 2^53": ("INTEGER", {"INTEGER": "9007199254740993"}),
    "an integer as 6.0": ("INTEGER", {"INTEGER": "6.0"}),
    "a fraction for an integer": ("INTEGER", {"INTEGER": "2.5"}),
    "1 for a boolean": ("BOOLEAN", {"BOOLEAN": "1"}),
    "a number for a string": ("STRING", {"STRING": "12345"}),
    "half of a surrogate pair": ("STRING", {"STRING": '"\\ud800"'}),
    "no key": ("interactionId", {"interactionId": None}),
    "the key of another record": ("duration", {"interactionId": '"good-1"', "duration": "77.5"}),
    "a field that nobody knows": ("cm_unknown", {"cm_unknown": '"kept?"'}),
}


class Front:
    """Passes on what a tenant answers, but for its pages."""

    def __init__(self, tenant):
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/data-download"):
                    status, text = 200, front.page
                else:
                    headers = {name: value for name, value in self.headers.items()
                               if name.lower() not in ("host", "content-length", "accept-encoding", "connection")}
                    request = urllib.request.Request(tenant.url + self.path, body or None, headers, method=self.command)
                    try:
                        with urllib.request.urlopen(request) as answer:
                            status, text = answer.status, answer.read()
                    except urllib.error.HTTPError as error:
                        status, text = error.code, error.read()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.page = b""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def record(key, custom, changed):
    """A record's text: good, but for what is changed."""
    good = {"number": "0.5", "integer": "5", "boolean": "true", "string": '"text"'}
    top = {"interactionId": f'"{key}"', "agentId": '"agent"', "dispositionCode": '"SALE"',
           "startTime": '"2024-01-01T06:00:00.000Z"', "duration": "10.5", "holdTime": "1", "wrapUpTime": "1", "talkTime": "8.5"}
    below = {name: good[kind] for name, kind in custom.items() if kind in good}
    for name, text in changed.items():
        place = below if name.startswith("cm_") else top
        place[name] = text
    members = lambda values: ", ".join(f'"{name}": {text}' for name, text in values.items() if text is not None)
    return f'{{{members(top)}, "customMetrics": {{{members(below)}}}}}'


def page(custom, changed):
    records = [record("good-1", custom, {}), record(ID, custom, changed), record("good-2", custom, {})]
    return f'{{"totalRecords": 3, "data": [{", ".join(records)}]}}'.encode()


def plain(name):
    return name.lower().replace("_", "")


def rows(folder):
    """The rows of all files, each with its names as we compare them."""
    found = []
    for file in sorted(folder.rglob("*.parquet")):
        if "runs" in file.parts or "metric_catalog" in file.parts or any(part.startswith("_dlt") for part in file.parts):
            continue
        found += [{plain(name): value for name, value in row.items()} for row in pq.ParquetFile(file).read().to_pylist()]
    return found


def stored(lake, field):
    """What the hostile record is in the rows that a tool wrote."""
    all_rows = rows(lake)
    own = [row for row in all_rows if row.get("interactionid") not in ("good-1", "good-2")]
    if field == "duration" and not own:
        own = [row for row in all_rows if row.get("duration") == 77.5]
    if not own:
        return f"lost: {len(all_rows)} rows, no error"
    name = next((name for name in own[0] if name.endswith(plain(field))), None)
    unmapped = own[0].get("unmapped")
    # dlt gives a value of another type a column of its own.
    variant = next((name for name in own[0] if f"{plain(field)}v" in name and own[0][name] is not None), None)
    if variant is not None:
        return f"stored as {own[0][variant]!r}, in a column of its own"
    if name is None:
        return f"kept: {unmapped}" if unmapped else "the field is dropped, no error"
    return f"stored as {own[0][name]!r}"


def of_cxlake(binaries, front, text, out, field):
    cxlake(binaries, front, out, 1, ALL_REJECTED)
    lake = out / "lake/bench/calls"
    rejects = rows(lake / "quarantine")
    if rejects:
        [reject] = rejects
        exact = reject["rawrecord"].encode() in text
        return f"set aside{' as sent' if exact else ''}: {reject['rule']}"
    return stored(lake / "data", field)


def of_peer(script, source, front, pages, custom, out, field, is_tolerant):
    if isinstance(script, Path) and not script.exists():
        return "not built"
    command = command_of(script, [front.url] if source == "http" else [pages], out)
    environment = os.environ | {"CXLAKE_BENCH_TOLERANT": str(int(is_tolerant))}
    command = [str(word) for word in command + (custom if source == "files" else [])]
    ended = subprocess.run(command, capture_output=True, env=environment)
    if ended.returncode != 0:
        return "ends with an error"
    return stored(out / "lake" if (out / "lake").exists() else out, field)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--binaries", type=Path, default=ROOT / "target/bench-build/release")
    arguments = arguments.parse_args()
    peers = [(peer, False) for peer in PEERS.values()] + [(peer, True) for peer in TOLERANT.values()]
    table = [f"| | {' | '.join(['cxlake', *PEERS, *TOLERANT])} |", f"|---|{'---|' * (len(peers) + 1)}"]
    with Tenant(arguments.binaries, 3, catalog=CATALOG) as tenant:
        front = Front(tenant)
        _, kinds = common.tenant(front.url)
        ids = {kind.upper(): next(name for name, of in kinds.items() if of == kind) for kind in ("integer", "boolean", "string")}
        custom = [f"{name}={kind}" for name, kind in kinds.items()]
        for case, (field, changed) in CASES.items():
            changed = {ids.get(name, name): text for name, text in changed.items()}
            field = ids.get(field, field)
            front.page = page(kinds, changed)
            cells = []
            with tempfile.TemporaryDirectory() as pages:
                (Path(pages) / "0.json").write_bytes(front.page)
                with tempfile.TemporaryDirectory() as out:
                    cells.append(of_cxlake(arguments.binaries, front, front.page, Path(out), field))
                for (script, source), is_tolerant in peers:
                    with tempfile.TemporaryDirectory() as out:
                        cells.append(of_peer(script, source, front, pages, custom, Path(out), field, is_tolerant))
            table.append(f"| {case} | {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
            print(table[-1], flush=True)
    file = ROOT / "target/bench/hostile.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(table) + "\n")


if __name__ == "__main__":
    main()
