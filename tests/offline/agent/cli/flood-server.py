"""Starts as many servers as its first argument says, each a process that answers like Ollama. Prints their pids as JSON.

Ends with its input, and all servers with it.
"""
import ctypes
import http.server
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
ROUTES = {"/": b"Ollama is running", "/api/version": b'{"version":"0.12.6"}'}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = ROUTES.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        server.serve_forever()
    server.server_close()
    return pid


print(json.dumps([serve() for _ in range(int(sys.argv[1]))]), flush=True)
sys.stdin.read()
