"""llama.cpp's own HTTP server out of PyPI's xllamacpp, started with those options of llama-server that the tests use."""

import argparse
import signal

import xllamacpp

parser = argparse.ArgumentParser()
parser.add_argument("--model", required=True)
parser.add_argument("--host", required=True)
parser.add_argument("--port", type=int, default=0)
parser.add_argument("--api-prefix", default="")
parser.add_argument("--ctx-size", type=int, required=True)
parser.add_argument("--threads", type=int, required=True)
parser.add_argument("--no-mmap", action="store_true")
options = parser.parse_args()

params = xllamacpp.CommonParams()
params.model.path = options.model
params.hostnames = [options.host]
params.api_prefix = options.api_prefix
params.port = options.port
params.n_ctx = options.ctx_size
params.cpuparams.n_threads = options.threads
params.cpuparams_batch.n_threads = options.threads
if options.no_mmap:
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
params.verbosity = 1
params.ui = False
signal.signal(signal.SIGTERM, signal.SIG_DFL)
# It serves from a thread of its own, for as long as this name holds it.
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
signal.pause()
