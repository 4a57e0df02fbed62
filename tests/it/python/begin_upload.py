"""Begins an upload in parts, and goes away."""

import sys

import boto3

endpoint, key = sys.argv[1:]
client = boto3.client(
    "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
)
print(client.create_multipart_upload(Bucket="lake", Key=key)["UploadId"])
