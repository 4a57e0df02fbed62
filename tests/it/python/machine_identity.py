"""Gives keys as the agents of ECS and EC2 do, to those who ask by their rules: machine_identity.py PORT"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SESSION, ROLE = "a session's token", "loader"


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

    def do_PUT(self):
        life = "x-aws-ec2-metadata-token-ttl-seconds"
        if self.path == "/latest/api/token" and (seconds := self.headers.get(life)):
            return self.answer(200, SESSION, [(life, seconds)])
        self.answer(400, "")

    def do_GET(self):
        if self.path == "/ecs":
            known = self.headers.get("authorization") == "the task's token"
            return self.keys("AKIAECS") if known else self.answer(403, "")
        if self.headers.get("x-aws-ec2-metadata-token") != SESSION:
            return self.answer(401, "")
        folder = "/latest/meta-data/iam/security-credentials"
        if self.path.rstrip("/") == folder:
            return self.answer(200, ROLE)
        return self.keys("AKIAEC2") if self.path == f"{folder}/{ROLE}" else self.answer(404, "")


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Agent).serve_forever()
