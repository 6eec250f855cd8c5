"""Answers HTTP by a JSON object of path to [content type, body], all else with 404, and prints its port.

With "--as UID PROGRAM SCRIPT ANSWERS" it leaves its listening socket to that program of that user, as a server does that
forgets FD_CLOEXEC, and only waits. A program that finds such a socket (LISTEN_ON) answers on it. Ends with its input.
"""
import http.server
import json
import os
import socket
import subprocess
import sys
import threading


def handler(answers):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            kind, body = answers.get(self.path, ("text/plain", "no"))
            self.send_response(200 if self.path in answers else 404)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    return Handler


def main():
    inherited = os.environ.get("LISTEN_ON")
    if inherited is None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
    else:
        listener = socket.socket(fileno=int(inherited))
    told = {"port": listener.getsockname()[1], "pid": os.getpid()}
    if len(sys.argv) > 2:
        _, _, uid, *command = sys.argv
        os.set_inheritable(listener.fileno(), True)
        child = subprocess.Popen(
            command, close_fds=False, user=int(uid), group=int(uid), extra_groups=[], cwd="/",
            env={"LISTEN_ON": str(listener.fileno())}, stdin=sys.stdin, stdout=subprocess.PIPE,
        )
        child.stdout.readline()
        told["child"] = child.pid
    else:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(json.loads(sys.argv[1])), False)
        server.socket.close()
        server.socket = listener
        server.server_name, server.server_port = "localhost", told["port"]
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(told), flush=True)
    sys.stdin.read()


main()
