"""Compares every stored value of a day with what the tenant truly sent.

compare.py REPORT_FOLDER DAY TRUTH.ndjson COLUMNS.json [--row-by-row]
"""

import json
import sys
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

import duckdb
import pyarrow.dataset

report, day, truth, columns = sys.argv[1:5]
columns = json.load(open(columns))
data = f"{report}/data/**/*.parquet"
quarantine = f"{report}/quarantine/**/*.parquet"
problems = []

con = duckdb.connect()
con.execute("SET TimeZone = 'UTC'")
con.execute(
    f"""CREATE TABLE truth AS SELECT * FROM read_json('{truth}', format = 'newline_delimited',
    columns = {{"offset": 'BIGINT', verdict: 'VARCHAR', rule: 'VARCHAR', path: 'VARCHAR', raw: 'VARCHAR',
    values: 'MAP(VARCHAR, VARCHAR)'}})"""
)
# Only what was accepted is looked into: rejected records may hold what is no text at all.
con.execute("CREATE TABLE sent AS SELECT * FROM truth WHERE verdict = 'accepted'")
options = "hive_partitioning = true, union_by_name = true"
con.execute(f"CREATE VIEW data AS SELECT * FROM read_parquet('{data}', {options}) WHERE dt = DATE '{day}'")
con.execute(f"CREATE VIEW quarantine AS SELECT * FROM read_parquet('{quarantine}', {options}) WHERE dt = DATE '{day}'")


def one(sql):
    return con.execute(sql).fetchone()[0]


def text(pointer):
    return f"""json_extract_string(sent."values"['{pointer}']::JSON, '$')"""


def expected(pointer, kind):
    value = f"""nullif(sent."values"['{pointer}'], 'null')"""
    return {
        "string": f"CASE WHEN {value} IS NOT NULL THEN {text(pointer)} END",
        "timestamp": f"CASE WHEN {value} IS NOT NULL THEN {text(pointer)}::TIMESTAMPTZ END",
        "number": f"{value}::DOUBLE",
        # DuckDB reads no exponents into decimals. Nine digits survive the way through a double.
        "decimal": f"CASE WHEN contains(lower({value}), 'e') THEN {value}::DOUBLE::DECIMAL(9, 6) "
        f"ELSE {value}::DECIMAL(9, 6) END",
        "integer": f"coalesce(try_cast({value} AS BIGINT), {value}::DOUBLE::BIGINT)",
        "boolean": f"{value} = 'true'",
    }[kind]


for verdict, view in [("accepted", "data"), ("quarantined", "quarantine")]:
    want = one(f"SELECT count(*) FROM truth WHERE verdict = '{verdict}'")
    found = one(f"SELECT count(*) FROM {view}")
    if want != found:
        problems.append(f"{want} {verdict}, {found} stored")

key = expected("/interactionId", "string")
joined = f"data JOIN sent ON data.interaction_id = {key} WHERE true"
if one(f"SELECT count(*) FROM {joined}") != one("SELECT count(*) FROM data"):
    problems.append("the keys of the stored rows are not those of the accepted records")
for pointer, column, kind in columns:
    different = one(f"""SELECT count(*) FROM {joined} AND data."{column}" IS DISTINCT FROM {expected(pointer, kind)}""")
    if different:
        sample = con.execute(
            f"""SELECT sent."values"['{pointer}'], data."{column}" FROM {joined}
            AND data."{column}" IS DISTINCT FROM {expected(pointer, kind)} LIMIT 3"""
        ).fetchall()
        problems.append(f"{column}: {different} values differ, e.g. {sample}")
wrong = one(f"SELECT count(*) FROM {joined} AND (report_date <> DATE '{day}' OR _schema_version IS NULL)")
if wrong:
    problems.append(f"{wrong} rows with another date or no registry version")
unknown = one(f"""SELECT count(*) FROM {joined} AND (_unmapped IS NOT NULL) <> contains(sent.raw, 'queueWaitReason')""")
if unknown:
    problems.append(f"_unmapped is wrong in {unknown} rows")
lost = one(
    f"""SELECT count(*) FROM {joined} AND _unmapped IS NOT NULL
    AND NOT contains(_unmapped, '"queueWaitReason":' || sent."values"['/queueWaitReason'])"""
)
if lost:
    problems.append(f"_unmapped has another text in {lost} rows")
rejects = one(
    """SELECT count(*) FROM quarantine q FULL JOIN (SELECT * FROM truth WHERE verdict = 'quarantined') t
    ON q.source_offset = t."offset"
    WHERE q.raw_record IS DISTINCT FROM t.raw OR q.rule IS DISTINCT FROM t.rule OR q.path IS DISTINCT FROM t.path"""
)
if rejects:
    sample = con.execute(
        """SELECT q.rule, q.path, t.rule, t.path, t.raw FROM quarantine q
        FULL JOIN (SELECT * FROM truth WHERE verdict = 'quarantined') t ON q.source_offset = t."offset"
        WHERE q.raw_record IS DISTINCT FROM t.raw OR q.rule IS DISTINCT FROM t.rule OR q.path IS DISTINCT FROM t.path
        LIMIT 3"""
    ).fetchall()
    problems.append(f"{rejects} rejects differ, e.g. {sample}")


def exact(kind, text):
    """The value that a text means, exactly."""
    if text is None or text == "null":
        return None
    if kind in ("number", "decimal", "integer"):
        return Fraction(Decimal(text))
    value = json.loads(text)
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(timezone.utc) if kind == "timestamp" else value


def stored(kind, value):
    if value is None or kind in ("string", "boolean"):
        return value
    # A float64 means its shortest text, as typing.md has it.
    return Fraction(Decimal(repr(value))) if kind == "number" else value if kind == "timestamp" else Fraction(value)


if "--row-by-row" in sys.argv:
    table = pyarrow.dataset.dataset(f"{report}/data/dt={day}", format="parquet").to_table()
    rows = {row["interaction_id"]: row for row in table.to_pylist()}
    for line in open(truth):
        record = json.loads(line)
        if record["verdict"] != "accepted":
            continue
        row = rows[json.loads(record["values"]["/interactionId"])]
        for pointer, column, kind in columns:
            want, found = exact(kind, record["values"].get(pointer)), stored(kind, row[column])
            if want != found:
                problems.append(f"pyarrow: {column}: {want!r} was sent, {found!r} is stored")

if problems:
    sys.exit("\n".join(problems[:20]))
