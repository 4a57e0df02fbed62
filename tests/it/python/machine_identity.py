"""Gives keys and tokens as those do who vouch for machines, to those who ask by their rules: the agents of ECS and EC2,
the portal of AWS's single sign-on, GCP's metadata server, Azure's instance metadata and App Service, and Microsoft
Entra ID. machine_identity.py PORT"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt

SESSION, ROLE = "a session's token", "loader"
STORAGE = "https://storage.azure.com"


class Agent(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, text, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def keys(self, name):
        keys = {
            "AccessKeyId": name,
            "SecretAccessKey": "secret",
            "Token": "token",
            "Expiration": "2099-01-01T00:00:00Z",
            "Code": "Success",
            "Type": "AWS-HMAC",
            "LastUpdated": "2024-01-01T00:00:00Z",
        }
        self.answer(200, json.dumps(keys))

    def azure_token(self, audience):
        """An access token, as "Access tokens in the Microsoft identity platform" describes its claims."""
        now = int(time.time())
        claims = {"aud": audience, "iss": "https://sts.windows.net/acme/", "iat": now, "nbf": now - 60, "exp": now + 3600}
        token = jwt.encode(claims, "nobody checks who signed it, only what it says", algorithm="HS256")
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600}
        # IMDS writes its numbers as texts, and when rather than how long.
        self.answer(200, json.dumps(answer | ({"expires_on": str(now + 3600)} if self.command == "GET" else {})))

    def do_PUT(self):
        life = "x-aws-ec2-metadata-token-ttl-seconds"
        if self.path == "/latest/api/token" and (seconds := self.headers.get(life)):
            return self.answer(200, SESSION, [(life, seconds)])
        self.answer(400, "")

    def do_POST(self):
        content = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/token":
            return self.fresh_sign_on(json.loads(content))
        # "Get a token" of the client credentials flow: by a shared secret, or by another issuer's token.
        form = {name: values[0] for name, values in parse_qs(content).items()}
        by_secret = form.get("client_secret") == "the secret"
        by_token = (
            form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
            and form.get("client_assertion") == "a.pod's.token"
        )
        if self.path != "/acme/oauth2/v2.0/token":
            return self.answer(404, "")
        if form.get("grant_type") != "client_credentials" or form.get("client_id") != "loader" or by_secret == by_token:
            return self.answer(401, json.dumps({"error": "invalid_client"}))
        scope = form.get("scope", "")
        if not scope.endswith("/.default"):
            return self.answer(400, json.dumps({"error": "invalid_scope"}))
        self.azure_token(scope.removesuffix("/.default"))

    def fresh_sign_on(self, asked):
        """CreateToken of IAM Identity Center's OIDC API."""
        wanted = {"clientId": "a client", "clientSecret": "its secret", "grantType": "refresh_token", "refreshToken": "once more"}
        if asked != wanted:
            return self.answer(400, json.dumps({"error": "invalid_grant"}))
        self.answer(200, json.dumps({"accessToken": "signed on", "tokenType": "Bearer", "expiresIn": 3600}))

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/ecs":
            known = self.headers.get("authorization") == "the task's token"
            return self.keys("AKIAECS") if known else self.answer(403, "")
        if url.path == "/federation/credentials":
            return self.single_sign_on(query)
        if url.path == "/computeMetadata/v1/instance/service-accounts/default/token":
            if self.headers.get("metadata-flavor") != "Google":
                return self.answer(403, "")
            return self.answer(200, json.dumps({"access_token": "of-the-machine", "expires_in": 3600, "token_type": "Bearer"}))
        if url.path in ("/metadata/identity/oauth2/token", "/msi/token"):
            of_app_service = url.path == "/msi/token" and self.headers.get("x-identity-header") == "the app's"
            of_machine = url.path != "/msi/token" and self.headers.get("metadata") == "true"
            if not (of_app_service or of_machine) or not query.get("api-version") or not query.get("resource"):
                return self.answer(400, "")
            return self.azure_token(query["resource"])
        if self.headers.get("x-aws-ec2-metadata-token") != SESSION:
            return self.answer(401, "")
        folder = "/latest/meta-data/iam/security-credentials"
        if url.path.rstrip("/") == folder:
            return self.answer(200, ROLE)
        return self.keys("AKIAEC2") if url.path == f"{folder}/{ROLE}" else self.answer(404, "")

    def single_sign_on(self, query):
        """GetRoleCredentials of the portal."""
        if self.headers.get("x-amz-sso_bearer_token") != "signed on":
            return self.answer(401, json.dumps({"message": "Session token not found or invalid"}))
        if query != {"account_id": "123456789012", "role_name": ROLE}:
            return self.answer(403, json.dumps({"message": "No access"}))
        keys = {"accessKeyId": "AKIASSO", "secretAccessKey": "secret", "sessionToken": "token", "expiration": 4_070_908_800_000}
        self.answer(200, json.dumps({"roleCredentials": keys}))


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
