import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "koboldcpp",
  name: "KoboldCpp",
  kind: "inference-engine",
  ports: [5001],
  names: ["koboldcpp", "koboldcpp-*", "koboldcpp_*", "koboldcpp.py"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])koboldcpp\\.py\\b"],
  libraries: ["/koboldcpp_[a-z0-9_]+\\.(?:so|dll)"],
  traits: [
    {
      path: "/api/extra/version",
      json: { result: { matches: "^KoboldCpp$" } },
      weight: "identity",
      says: "its version document names KoboldCpp",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^koboldcpp$" } },
      weight: "identity",
      says: "its models are owned by koboldcpp",
    },
    {
      path: "/api/v1/model",
      json: { result: { matches: "^koboldcpp/" } },
      weight: "identity",
      says: "its model is named koboldcpp",
    },
  ],
  version: [{ path: "/api/extra/version", at: "version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["ollama", "llama-cpp", "automatic1111", "comfyui"],
  sources: ["https://lite.koboldai.net/koboldcpp_api", "https://github.com/LostRuins/koboldcpp"],
  fixtures: {
    positive: [
      {
        source: "code: LostRuins/koboldcpp v1.76 koboldcpp.py, which imitates Ollama, OpenAI and llama.cpp",
        answers: {
          "/": { body: "<!DOCTYPE html><html><head><title>KoboldAI Lite</title>" },
          "/api/extra/version": {
            body: { result: "KoboldCpp", version: "1.98", protected: false, llm: true },
          },
          "/api/v1/model": { body: { result: "koboldcpp/Llama-3-8B" } },
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "koboldcpp/Llama-3-8B",
                  object: "model",
                  created: 1,
                  owned_by: "koboldcpp",
                  root: "koboldcpp",
                },
              ],
            },
          },
          "/api/version": { body: { version: "0.7.0" } },
          "/api/tags": {
            body: {
              models: [
                {
                  name: "koboldcpp",
                  model: "koboldcpp/Llama-3-8B:latest",
                  size: 394998579,
                  details: { format: "gguf", family: "koboldcpp", families: ["koboldcpp"] },
                },
              ],
            },
          },
          "/props": {
            body: {
              chat_template: "",
              id: 0,
              id_task: -1,
              total_slots: 1,
              default_generation_settings: { n_ctx: 8192 },
            },
          },
        },
      },
      {
        source: "code: LostRuins/koboldcpp v1.76 koboldcpp.py and the libraries that it loads",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/koboldcpp/koboldcpp.py", "--model", "m.gguf"],
          libraries: ["/home/ada/koboldcpp/koboldcpp_cublas.so"],
        },
      },
    ],
    negative: [
      { source: "documented: ollama docs/api.md", answers: { "/": { body: "Ollama is running" } } },
      {
        source: "documented: KoboldAI United API",
        answers: { "/api/v1/model": { body: { result: "KoboldAI/opt" } } },
      },
    ],
  },
};

export default entry;
