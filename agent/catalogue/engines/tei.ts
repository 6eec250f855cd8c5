import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tei",
  name: "Text Embeddings Inference",
  kind: "embedding-server",
  ports: [80, 8080, 3000],
  names: ["text-embeddings-router"],
  traits: [
    {
      path: "/info",
      json: { "model_type.embedding": { is: "present" }, max_batch_tokens: { is: "number" } },
      weight: "strong",
      says: "TEI's information document",
    },
    {
      path: "/info",
      json: { "model_type.reranker": { is: "present" }, max_batch_tokens: { is: "number" } },
      weight: "strong",
      says: "TEI's information document of a reranker",
    },
    {
      path: "/info",
      json: { "model_type.classifier": { is: "present" }, max_batch_tokens: { is: "number" } },
      weight: "strong",
      says: "TEI's information document of a classifier",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# TYPE )?te_(?:request|embed|queue)_",
      weight: "strong",
      says: "metrics named te",
    },
  ],
  version: [{ path: "/info", at: "version" }],
  models: [{ path: "/info", each: "", name: "model_id", loaded: true }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://huggingface.github.io/text-embeddings-inference/"],
  fixtures: {
    positive: [
      {
        source: "code: huggingface/text-embeddings-inference v1.9.3 router/src/lib.rs (Info, ModelType)",
        answers: {
          "/info": {
            body: {
              model_id: "thenlper/gte-base",
              model_sha: "fca14538aa9956a46526bd1d0d11d69e19b5a101",
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
        source:
          "code: huggingface/text-embeddings-inference v1.9.3 router/src/lib.rs (ModelType), a classifier",
        answers: {
          "/info": {
            body: {
              model_id: "SamLowe/roberta-base-go_emotions",
              model_type: { classifier: { id2label: { "0": "admiration" }, label2id: { admiration: 0 } } },
              max_batch_tokens: 16384,
            },
          },
        },
      },
      {
        source:
          "code: huggingface/text-embeddings-inference v1.9.3 router/src/lib.rs (ModelType), core/src/infer.rs, a re-ranker",
        answers: {
          "/info": {
            body: {
              model_id: "BAAI/bge-reranker-large",
              model_type: { reranker: { id2label: { "0": "LABEL_0" } } },
              max_batch_tokens: 16384,
            },
          },
          "/metrics": { body: "# TYPE te_request_count counter\nte_request_count 1\n" },
        },
      },
    ],
    negative: [
      {
        source: "made up: a job queue's response with its limits",
        answers: { "/info": { body: { model_type: "batch", max_batch_tokens: 4096 } } },
      },
      {
        source: "documented: text-generation-inference (GET /info)",
        answers: {
          "/info": {
            body: { model_id: "bigscience/bloom-560m", max_concurrent_requests: 128, max_total_tokens: 2048 },
          },
        },
      },
    ],
  },
};

export default entry;
