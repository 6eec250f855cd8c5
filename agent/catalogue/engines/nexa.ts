import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "nexa",
  name: "NexaSDK",
  kind: "inference-engine",
  ports: [18181],
  names: ["nexa", "nexa-cli"],
  binaries: ["/nexa_sdk/nexa"],
  commands: ["(?:^|/)nexa(?:\\.exe)? (?:serve|infer)\\b"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.cache/nexa.ai", layout: "files" }],
  sources: ["https://docs.nexa.ai/"],
  fixtures: {
    positive: [
      {
        source: "documented: docs.nexa.ai nexa serve",
        process: { executable: "/opt/nexa_sdk/nexa", argv: ["nexa", "serve", "--host", "127.0.0.1:18181"] },
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
