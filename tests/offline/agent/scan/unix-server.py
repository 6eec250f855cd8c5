"""Serves HTTP on a unix socket as its argument says, a JSON object:

path or abstract; answers {path: [status, body]}; greeting: text that it sends first; maps: a file that it maps.
Every request that arrives is printed as a JSON line. Ends with its standard input.
"""

import json
import mmap
import socket
import sys
import threading

spec = json.loads(sys.argv[1])
if "maps" in spec:
    held = open(spec["maps"], "rb")
    mapped = mmap.mmap(held.fileno(), spec.get("length", 0), access=mmap.ACCESS_READ, offset=spec.get("offset", 0))
listener = socket.socket(socket.AF_UNIX)
listener.bind("\0" + spec["abstract"] if "abstract" in spec else spec["path"])
listener.listen(16)


def serve():
    while True:
        connection, _ = listener.accept()
        if "greeting" in spec:
            connection.sendall(spec["greeting"].encode())
        request = connection.recv(65536).decode("latin1")
        if request:
            print(json.dumps(request), flush=True)
            status, body = spec.get("answers", {}).get(request.split(" ")[1], [404, "no"])
            body = (body if isinstance(body, str) else json.dumps(body)).encode()
            head = f"HTTP/1.1 {status} OK\r\nContent-Length: {len(body)}\r\n\r\n"
            if not spec.get("mute"):
                connection.sendall(head.encode() + body)
        if spec.get("mute"):
            held_open.append(connection)
        else:
            connection.close()


held_open = []
threading.Thread(target=serve, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
