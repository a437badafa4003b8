"""A receiver that verifies with the library `standardwebhooks`; its secrets are the values of a dotenv file, read anew each time."""
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook

path = sys.argv[1]


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = 401
        for secret in secrets():
            try:
                Webhook(secret).verify(body, headers)
                status = 200
            except Exception:
                pass
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def secrets():
    with open(path) as lines:
        pairs = [line.strip().partition("=") for line in lines if line.startswith("HOOK_SECRET")]
    return [value.strip("'\"") for name, _, value in pairs if name != "HOOK_SECRET_OLD"]


server = HTTPServer(("127.0.0.1", 0), Receiver)
print(server.server_port, flush=True)
server.serve_forever()
