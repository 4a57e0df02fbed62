"""Lakes after runs that were killed: each has what a run that nobody killed leaves, and at the moment of each
kill a reader saw what there was before or what there is now."""

import json
import sys
from pathlib import Path

import duckdb

points = Path(sys.argv[1])
expected = json.loads((points / "expected.json").read_text())


def content(pattern):
    """What readers see in each lake: rows, distinct rows, and a sum of their hashes, by its folder."""
    if not any(points.glob(pattern)):
        return {}
    query = f"""
        SELECT filename, count(*), sum(hash(COLUMNS(* EXCLUDE (filename)))::HUGEINT)
        FROM read_parquet('{points}/{pattern}', filename = true, hive_partitioning = true, union_by_name = true)
        GROUP BY ALL
    """
    rows = duckdb.sql(query).fetchall()
    found = {str(path.relative_to(points)).split("/")[0]: (0,) for path in points.glob(pattern)}
    for filename, *values in rows:
        found[str(Path(filename).relative_to(points)).split("/")[0]] = tuple(values)
    return found


for kind in ("data", "quarantine"):
    final = content(f"*/lake/acme/calls/{kind}/**/*.parquet")
    whole = final["whole"]
    known = [rows for name, rows in final.items() if name in ("whole", "base") or name.startswith("half-")]
    lakes = [name for name in final if name.isdigit()]
    assert len(lakes) == expected["points"], (len(lakes), expected)
    for name in lakes:
        assert final[name] == whole, (kind, name, final[name], whole)
    for moment in range(expected["times"]):
        seen = content(f"*/seen-{moment}/{kind}/**/*.parquet")
        for name, rows in seen.items():
            assert rows in known, (kind, name, moment)
        if expected["has_before"]:
            assert len(seen) == len(lakes), f"{kind}: a reader saw nothing"
