"""A program with a vector store of its own: pymilvus starts Milvus Lite for a local file."""

import signal
import sys

from pymilvus import MilvusClient

client = MilvusClient(sys.argv[1])
client.create_collection("notes", dimension=8)
print("ready", flush=True)
signal.pause()
