import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "lm-studio",
  name: "LM Studio",
  kind: "inference-app",
  ports: [1234],
  // `llmster` is the headless daemon. Source: src/subcommands/daemon of lmstudio-ai/lms.
  names: ["lm-studio", "lm studio", "lmstudio", "lms", "llmster", "lm-studio*.appimage"],
  binaries: [
    "/LM Studio\\.app/Contents/",
    "/LM[- ]Studio/lm[- ]studio(?:\\.exe)?$",
    "/\\.mount_LM[- ]?Stu[^/]*/",
    "/\\.lmstudio/(?:bin|extensions|llmster)/",
    // The daemon is installed in `llmster/<version>/` below LMSTUDIO_HOME, which can be any directory.
    "/llmster/\\d[^/]*/(?:bin/)?llmster(?:\\.exe)?$",
  ],
  libraries: ["/\\.lmstudio/extensions/"],
  traits: [
    {
      path: "/lmstudio-greeting",
      json: { lmstudio: { matches: "^true$" } },
      weight: "identity",
      says: "LM Studio's greeting",
    },
    {
      path: "/api/v0/models",
      json: {
        object: { matches: "^list$" },
        "data[].compatibility_type": { is: "string" },
        "data[].state": { is: "string" },
      },
      weight: "strong",
      says: "LM Studio's own list of models",
    },
    {
      path: "/api/v1/models",
      json: { "models[].key": { is: "string" }, "models[].loaded_instances": { is: "array" } },
      weight: "strong",
      says: "LM Studio's own list of models and their instances",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^organization_owner$" } },
      weight: "strong",
      says: "its models are owned by organization_owner",
    },
    {
      path: "/",
      statuses: [200, 404],
      body: "Unexpected endpoint or method\\. \\(GET /\\)",
      weight: "strong",
      says: "LM Studio's error for an unknown endpoint",
    },
  ],
  models: [
    {
      path: "/api/v1/models",
      each: "models[]",
      name: "key",
      sizeBytes: "size_bytes",
      architecture: "architecture",
      parameters: "params_string",
      quantisation: "quantization.name",
      format: "format",
      publisher: "publisher",
      loaded: { at: "loaded_instances[].id", matches: "." },
    },
    {
      path: "/api/v0/models",
      each: "data[]",
      name: "id",
      architecture: "arch",
      quantisation: "quantization",
      format: "compatibility_type",
      publisher: "publisher",
      loaded: { at: "state", matches: "^loaded$" },
    },
  ],
  openai: true,
  directories: [
    { path: "~/.lmstudio/models", layout: "files" },
    { path: "~/.cache/lm-studio/models", layout: "files" },
  ],
  sources: ["https://lmstudio.ai/docs/app/api/endpoints/rest", "https://github.com/lmstudio-ai/lms"],
  fixtures: {
    positive: [
      {
        source: "code: clients of LM Studio 0.4 (GET /api/v1/models), lmstudio.ai/docs/api/rest-api",
        answers: {
          "/": { body: { error: "Unexpected endpoint or method. (GET /)" } },
          "/api/version": { body: { error: "Unexpected endpoint or method. (GET /api/version)" } },
          "/props": { body: { error: "Unexpected endpoint or method. (GET /props)" } },
          "/api/v1/models": {
            body: {
              models: [
                {
                  type: "llm",
                  publisher: "google",
                  key: "google/gemma-4-26b-a4b",
                  display_name: "Gemma 4 26B A4B",
                  architecture: "gemma4",
                  quantization: { name: "Q4_K_M", bits_per_weight: 4 },
                  size_bytes: 17990911801,
                  params_string: "26B-A4B",
                  loaded_instances: [{ id: "google/gemma-4-26b-a4b", config: { context_length: 4096 } }],
                  max_context_length: 262144,
                  format: "gguf",
                },
              ],
            },
          },
        },
      },
      {
        source:
          "documented: lmstudio.ai/docs/app/api/endpoints/rest (GET /api/v0/models); code: lmstudio-ai/lms 07b7252 src/createClient.ts (GET /lmstudio-greeting)",
        answers: {
          "/": {
            headers: { "x-powered-by": "Express" },
            body: { error: "Unexpected endpoint or method. (GET /)" },
          },
          "/lmstudio-greeting": { body: { lmstudio: true } },
          "/api/v0/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "qwen2-vl-7b-instruct",
                  object: "model",
                  type: "vlm",
                  publisher: "mlx-community",
                  arch: "qwen2_vl",
                  compatibility_type: "mlx",
                  quantization: "4bit",
                  state: "not-loaded",
                  max_context_length: 32768,
                },
              ],
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "qwen2-vl-7b-instruct", object: "model", owned_by: "organization_owner" }],
            },
          },
        },
      },
      {
        source: "documented: lmstudio.ai/docs/app, the AppImage for Linux mounts itself below /tmp",
        process: {
          executable: "/tmp/.mount_LM-StuXXvWVi/lm-studio",
          argv: ["/tmp/.mount_LM-StuXXvWVi/lm-studio"],
        },
      },
      {
        source: "documented: lmstudio.ai/docs/app, Windows",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\Programs\\LM Studio\\LM Studio.exe" },
      },
      {
        source:
          "documented: lmstudio-ai/lms src/subcommands/daemon (the llmster daemon, below LM Studio's home)",
        process: { executable: "/home/ada/.lmstudio/llmster/0.0.3/bin/llmster" },
      },
      {
        source: "code: lmstudio-ai/lmstudio-js findLMStudioHome.ts (LMSTUDIO_HOME)",
        process: { executable: "/data/lm/llmster/0.0.12-1/llmster" },
      },
    ],
    negative: [
      {
        source: "documented: llama.cpp lists models owned by llamacpp",
        answers: {
          "/v1/models": {
            body: { object: "list", data: [{ id: "m", object: "model", owned_by: "llamacpp" }] },
          },
        },
      },
      {
        source: "recorded from Express: its default answer",
        answers: { "/": { status: 404, body: "Cannot GET /" } },
      },
    ],
  },
};

export default entry;
