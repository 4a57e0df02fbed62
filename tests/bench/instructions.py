"""Counts the instructions a record that each stage of the hot path takes, by valgrind's callgrind, and compares them with
the figures that are kept beside this file: a guard that no clock can blur. Ends with 1 where a stage takes over 5 % more,
or less: then the figures are to be kept anew. instructions.py [--keep] -- CARGO BUILD …

SHA-256 is left out: valgrind's processor has no instructions for it, so that it would be most of the typing.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KEPT = Path(__file__).with_suffix(".json")
RECORDS, TOLERANCE, TIMES = 10_000, 0.05, (1, 3)
LINE = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+\S+?:(\S.*)$")


def instructions(program, stage, times):
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, stage, str(times)],
                       check=True, stderr=subprocess.DEVNULL)
        listing = ["callgrind_annotate", "--auto=no", "--threshold=100", out]
        lines = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()
    found = [match.groups() for match in map(LINE.match, lines) if match]
    return sum(int(count.replace(",", "")) for count, function in found if not function.startswith("sha2::"))


def built(command):
    """The program that a command of cargo's builds."""
    lines = subprocess.run([*command, "--message-format=json-render-diagnostics"], check=True, capture_output=True, text=True)
    programs = [message["executable"] for message in map(json.loads, lines.stdout.splitlines()) if message.get("executable")]
    return programs[-1]


keep, program = "--keep" in sys.argv, built(sys.argv[sys.argv.index("--") + 1:])
kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
found, failed = {}, False
for stage in ("scan", "type", "encode"):
    few, many = (instructions(program, stage, times) for times in TIMES)
    found[stage] = round((many - few) / (TIMES[1] - TIMES[0]) / RECORDS)
    change = found[stage] / kept[stage] - 1 if stage in kept else 0
    failed |= abs(change) > TOLERANCE
    print(f"{stage:8} {found[stage]:7,} instructions a record, {change:+.1%} to what is kept")
if keep:
    KEPT.write_text(json.dumps(found, indent=2) + "\n")
elif failed:
    sys.exit("a stage takes other work than it did: find out why, then keep the new figures (make instructions KEEP=--keep)")
