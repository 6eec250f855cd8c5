"""Loads a model as a program with an inference library does. The arguments say how, standard input when to go on."""

import ctypes
import mmap
import os
import shutil
import sys

how, model, directory = sys.argv[1:]
if how != "no-library":
    # Any library will do: the agent recognises it by its name.
    loaded = [line.split()[-1] for line in open("/proc/self/maps") if "/libm." in line]
    library = os.path.join(directory, "libggml.so")
    if not os.path.exists(library):
        shutil.copyfile(loaded[0], library)
    held = ctypes.CDLL(library)
if how == "data":
    weights = bytearray(os.path.getsize(model))
    for page in range(0, len(weights), mmap.PAGESIZE):
        weights[page] = 1
else:
    file = open(model, "rb", buffering=0)
    weights = file.read()
    if how == "open-for-a-while":
        print("open", flush=True)
        sys.stdin.readline()
        grown = bytearray(1 << 20)
    file.close()
print("loaded", flush=True)
sys.stdin.read()
