import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "nvidia-nim",
  name: "NVIDIA NIM",
  kind: "inference-engine",
  ports: [8000],
  names: ["nim_llm"],
  runsOn: ["python"],
  commands: ["-m vllm_nvext\\.entrypoints"],
  traits: [
    {
      path: "/v1/metadata",
      json: {
        "modelInfo[].shortName": { is: "string" },
        assetInfo: { is: "array" },
        version: { is: "string" },
      },
      weight: "strong",
      says: "its metadata lists NIM models and assets",
    },
  ],
  version: [{ path: "/v1/metadata", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["vllm"],
  sources: ["https://docs.nvidia.com/nim/large-language-models/latest/api-reference.html"],
  fixtures: {
    positive: [
      {
        source:
          "documented: docs.nvidia.com/nim/large-language-models 2.1.6 API reference (GET /v1/metadata)",
        answers: {
          "/v1/metadata": {
            body: {
              version: "1.8.0",
              assetInfo: ["ngc://nim/meta/llama3-8b-instruct:hf"],
              licenseInfo: { name: "NVIDIA AI" },
              modelInfo: [
                { modelUrl: "ngc://nim/meta/llama3-8b-instruct:hf", shortName: "llama3-8b-instruct" },
              ],
              repository_override: "",
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                { id: "meta/llama3-8b-instruct", object: "model", created: 1700000000, owned_by: "system" },
              ],
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: the metadata response of a photo library",
        answers: {
          "/v1/metadata": { body: { version: "2", modelInfo: [{ camera: "X100" }], assetInfo: ["a.jpg"] } },
        },
      },
      {
        source: "made up: a metadata response of another service",
        answers: { "/v1/metadata": { body: { version: "1" } } },
      },
    ],
  },
};

export default entry;
