"""An engine that changes its process every 0.3 s and keeps its listening socket.

Prints its first pid as soon as it listens on the given port. Each process forks the next one in a new session and ends.
"""

import os
import socket
import sys
import time

listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("0.0.0.0", int(sys.argv[1])))
listener.listen(16)
print(os.getpid(), flush=True)
os.close(1)
# Bounded: a test that fails leaves nothing behind.
until = time.monotonic() + 60
while time.monotonic() < until:
    time.sleep(0.3)
    if os.fork():
        os._exit(0)
    os.setsid()
