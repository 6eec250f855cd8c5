"""A program that loads a model with the GPT4All binding and waits."""

import os
import signal
import sys

from gpt4all import GPT4All

folder, name = os.path.split(sys.argv[1])
model = GPT4All(name, model_path=folder, allow_download=False, device="cpu", n_ctx=256)
print("ready", flush=True)
signal.pause()
