"""Prints a service account's key for a server of ours: service_account.py URL"""

import json
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
print(
    json.dumps(
        {
            "type": "service_account",
            "gcs_base_url": sys.argv[1],
            "client_email": "cxlake@tests.iam.gserviceaccount.com",
            "private_key": key.decode(),
            "private_key_id": "1",
        }
    )
)
