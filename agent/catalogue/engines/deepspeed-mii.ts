import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "deepspeed-mii",
  name: "DeepSpeed-MII",
  kind: "inference-engine",
  ports: [28080],
  names: [],
  runsOn: ["python"],
  commands: ["-m mii\\.entrypoints\\."],
  traits: [
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^deepspeed-mii$" } },
      weight: "identity",
      says: "its models are owned by deepspeed-mii",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/deepspeedai/DeepSpeed-MII"],
  fixtures: {
    positive: [
      {
        source: "code: deepspeed-mii 0.3.3 (PyPI) mii/entrypoints/data_models.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "mistralai/Mistral-7B-v0.1",
                  object: "model",
                  created: 1700000000,
                  owned_by: "deepspeed-mii",
                },
              ],
            },
          },
        },
      },
      {
        source: "code: deepspeed-mii 0.3.3 (PyPI) mii/entrypoints/api_server.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "mii.entrypoints.api_server"],
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
