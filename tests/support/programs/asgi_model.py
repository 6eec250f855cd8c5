"""An application for uvicorn: it maps the file in MODEL and lists it as vLLM does, at /v1/models of its own root."""

import json
import mmap
import os

held = open(os.environ["MODEL"], "rb")
weights = mmap.mmap(held.fileno(), 0, access=mmap.ACCESS_READ)
CARD = {"id": "m", "object": "model", "created": 1, "owned_by": "vllm", "root": "m", "parent": None, "max_model_len": 4096}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    # As Starlette finds its routes: what the server was told as root path is no part of them.
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    found = path == "/v1/models" and scope["method"] == "GET"
    body = json.dumps({"object": "list", "data": [CARD]} if found else {"detail": "Not Found"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
