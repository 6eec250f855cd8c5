import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tgi",
  name: "Text Generation Inference",
  kind: "inference-engine",
  ports: [3000, 8080, 80],
  names: ["text-generation-launcher", "text-generation-router", "text-generation-server"],
  runsOn: ["python"],
  commands: ["(?:^|/)text-generation-(?:launcher|router|server)\\b"],
  traits: [
    {
      path: "/info",
      json: {
        model_id: { is: "string" },
        max_total_tokens: { is: "number" },
        max_concurrent_requests: { is: "number" },
      },
      unless: { json: { model_type: { is: "object" } } },
      weight: "strong",
      says: "TGI's information document",
    },
    { path: "/metrics", body: "(?:^|\\n)(?:# TYPE )?tgi_", weight: "identity", says: "metrics named tgi" },
  ],
  version: [{ path: "/info", at: "version" }],
  models: [{ path: "/info", each: "", name: "model_id", loaded: true }],
  openai: true,
  absorbs: ["unknown-weights", "openai-compatible"],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://huggingface.github.io/text-generation-inference/"],
  fixtures: {
    positive: [
      {
        source: "code: huggingface/text-generation-inference v3.3.7 router/src/lib.rs (Info)",
        answers: {
          "/info": {
            body: {
              model_id: "bigscience/bloom-560m",
              model_sha: "e985a63cdc139290c5f700ff1929f0b5942cced2",
              model_pipeline_tag: "text-generation",
              max_concurrent_requests: 128,
              max_best_of: 2,
              max_stop_sequences: 4,
              max_input_tokens: 1024,
              max_total_tokens: 2048,
              validation_workers: 2,
              router: "text-generation-router",
              version: "3.3.5",
              sha: null,
              docker_label: null,
            },
          },
        },
      },
      {
        source: "code: huggingface/text-generation-inference v3.3.7 router/src/server.rs (metrics)",
        answers: { "/metrics": { body: "# TYPE tgi_batch_current_size gauge\ntgi_batch_current_size 0\n" } },
      },
      {
        source: "code: huggingface/text-generation-inference v3.3.7 launcher/Cargo.toml",
        process: {
          executable: "/usr/local/bin/text-generation-launcher",
          argv: ["text-generation-launcher", "--model-id", "m"],
        },
      },
    ],
    negative: [
      {
        source: "documented: huggingface.github.io/text-embeddings-inference (GET /info)",
        answers: {
          "/info": {
            body: {
              model_id: "thenlper/gte-base",
              model_dtype: "float16",
              model_type: { embedding: { pooling: "cls" } },
              max_concurrent_requests: 128,
              max_input_length: 512,
              max_batch_tokens: 2048,
              version: "1.8.0",
            },
          },
        },
      },
      {
        source: "documented: Spring Boot Actuator (GET /actuator/info moved to /info)",
        answers: { "/info": { body: { build: { version: "1.0" } } } },
      },
    ],
  },
};

export default entry;
