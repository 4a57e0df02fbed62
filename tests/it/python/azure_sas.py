"""Prints a shared access signature for a container on Azurite, with the rights that a lake needs: azure_sas.py NAME"""

import datetime
import sys

from azure.storage.blob import ContainerSasPermissions, generate_container_sas

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
print(
    generate_container_sas(
        account_name="devstoreaccount1",
        container_name=sys.argv[1],
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, write=True, list=True),
        expiry=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1),
    )
)
