"""Two processes whose first thread says nothing of the others: one is held by a tracer, the other has ended.

Prints their pids and waits. x86-64 and arm64 Linux.
"""

import ctypes
import json
import os
import platform
import signal
import threading
import time

PTRACE_ATTACH = 16
SYS_EXIT = {"x86_64": 60}.get(platform.machine(), 93)
libc = ctypes.CDLL(None, use_errno=True)


def start(ends_first_thread: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    threading.Thread(target=lambda: [time.sleep(0.01) for _ in iter(int, 1)]).start()
    if ends_first_thread:
        libc.syscall(SYS_EXIT, 0)
    signal.pause()


def state_of(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0]


traced, zombie = start(False), start(True)
while state_of(zombie) != "Z":
    time.sleep(0.01)
while len(os.listdir(f"/proc/{traced}/task")) < 2:
    time.sleep(0.01)
if libc.ptrace(PTRACE_ATTACH, traced, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "ptrace")
os.waitpid(traced, 0)
print(json.dumps({"traced": traced, "zombie": zombie}), flush=True)
signal.pause()
