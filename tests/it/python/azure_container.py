"""Makes a container on Azurite: azure_container.py URL NAME"""

import sys

from azure.storage.blob import BlobServiceClient

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
credential = {"account_name": "devstoreaccount1", "account_key": KEY}
# What signs itself is nobody's business here.
BlobServiceClient(sys.argv[1], credential=credential, connection_verify=False).create_container(sys.argv[2])
