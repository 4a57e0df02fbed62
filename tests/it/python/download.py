"""Copies the bucket `lake` of a server into a folder: download.py ENDPOINT FOLDER"""

import pathlib
import sys

import boto3

s3 = boto3.resource(
    "s3", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
)
for item in s3.Bucket("lake").objects.all():
    path = pathlib.Path(sys.argv[2]) / item.key
    path.parent.mkdir(parents=True, exist_ok=True)
    s3.Bucket("lake").download_file(item.key, str(path))
