import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "lmdeploy",
  name: "LMDeploy",
  kind: "inference-engine",
  ports: [23333],
  names: ["lmdeploy"],
  runsOn: ["python"],
  commands: ["(?:^|/)lmdeploy serve\\b"],
  libraries: ["/_turbomind[^/]*\\.so"],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^lmdeploy$" } },
      weight: "identity",
      says: "its models are owned by lmdeploy",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://lmdeploy.readthedocs.io/en/latest/llm/api_server.html"],
  fixtures: {
    positive: [
      {
        source:
          "code: lmdeploy 0.18.0 (PyPI) serve/openai/protocol.py (ModelCard), api_server.py (docs at /)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                { id: "internlm2_5-7b-chat", object: "model", created: 1700000000, owned_by: "lmdeploy" },
              ],
            },
          },
          "/docs": {
            body: "<!doctype html><html><head><title>LMDeploy API Server - Swagger UI</title></head><body></body></html>",
          },
        },
      },
      {
        source: "code: lmdeploy 0.18.0 (PyPI) entry_points.txt, cli/serve.py, turbomind",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/lmdeploy", "serve", "api_server", "m"],
          libraries: [
            "/venv/lib/python3.11/site-packages/lmdeploy/turbomind/_turbomind.cpython-311-x86_64-linux-gnu.so",
          ],
        },
      },
    ],
    negative: [
      {
        source: "documented: vLLM lists models owned by vllm",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "m", object: "model", created: 1700000000, owned_by: "vllm" }],
            },
          },
        },
      },
    ],
  },
};

export default entry;
