"""Speaks what object_store's client for Google Cloud Storage says (the XML API with generations and their
conditions) in front of a server that speaks S3's protocol. Nobody without a bearer token gets in; where one is named,
with none but that.

gcs_front.py PORT S3_PORT [TOKEN]"""

import http.client
import itertools
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

port, upstream = int(sys.argv[1]), f"127.0.0.1:{sys.argv[2]}"
bearer = "Bearer " + "".join(sys.argv[3:])
lock, numbers, generations = threading.RLock(), itertools.count(1_700_000_000_000_000), {}
OF_THE_CONNECTION = {"host", "authorization", "content-length", "connection", "transfer-encoding", "date", "server"}


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "content-length" not in {name.lower() for name in headers}:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, {"content-type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode())

    def forward(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path, _, query = self.path.partition("?")
        key = unquote(path)
        authorization = self.headers.get("authorization") or ""
        if not (authorization == bearer if len(sys.argv) > 3 else authorization.startswith(bearer)):
            return self.refuse(401, "AuthenticationRequired")
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in OF_THE_CONNECTION and not name.lower().startswith("x-goog-")
        }
        with lock:
            wanted = self.headers.get("x-goog-if-generation-match")
            if wanted is not None and str(generations.get(key, 0)) != wanted:
                return self.refuse(412, "PreconditionFailed")
            connection = http.client.HTTPConnection(upstream)
            connection.request(self.command, self.path, body, kept)
            response = connection.getresponse()
            content = response.read()
            ok = response.status < 300
            if ok and (self.command == "PUT" and "partNumber" not in query or self.command == "POST" and "uploadId" in query):
                generations[key] = next(numbers)
            if ok and self.command == "DELETE" and "uploadId" not in query and generations.pop(key, None) is None:
                return self.refuse(404, "NoSuchKey")
            headers = {name: value for name, value in response.getheaders() if name.lower() not in OF_THE_CONNECTION}
            if self.command == "HEAD":
                headers["content-length"] = response.getheader("content-length") or "0"
            if ok and key in generations:
                headers["x-goog-generation"] = str(generations[key])
            self.answer(response.status, headers, content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward


ThreadingHTTPServer(("127.0.0.1", port), Front).serve_forever()
