import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "distributed-llama",
  name: "distributed-llama",
  kind: "inference-engine",
  ports: [9990, 9999],
  names: ["dllama-api", "dllama"],
  binaries: ["/distributed-llama[^/]*/dllama(?:-api)?$"],
  commands: ["(?:^|/)dllama(?:-api)?(?:\\.exe)? .*--tokenizer\\b"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  sources: ["https://github.com/b4rtaz/distributed-llama"],
  fixtures: {
    positive: [
      {
        source: "documented: b4rtaz/distributed-llama README",
        process: {
          executable: "/home/ada/distributed-llama/dllama-api",
          argv: [
            "./dllama-api",
            "--model",
            "dllama_model_llama3.m",
            "--tokenizer",
            "dllama_tokenizer_llama3.t",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: a service with a similar name",
        process: { executable: "/usr/bin/dllama-apiary", argv: ["dllama-apiary"] },
      },
    ],
  },
};

export default entry;
