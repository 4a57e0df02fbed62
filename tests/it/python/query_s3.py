"""Counts the rows of a glob on S3: query_s3.py ENDPOINT GLOB"""

import sys
from urllib.parse import urlparse

import duckdb

con = duckdb.connect()
con.execute("LOAD httpfs")
con.execute(
    f"""CREATE SECRET (TYPE s3, KEY_ID 'test', SECRET 'test', REGION 'us-east-1',
    ENDPOINT '{urlparse(sys.argv[1]).netloc}', USE_SSL false, URL_STYLE 'path')"""
)
print(con.execute(f"SELECT count(*) FROM read_parquet('{sys.argv[2]}', union_by_name = true)").fetchone()[0])
