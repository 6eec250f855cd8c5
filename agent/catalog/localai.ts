import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "localai",
  name: "LocalAI",
  kind: "inference-engine",
  ports: [8080],
  names: ["local-ai", "localai", "local-ai-*"],
  binaries: ["/LocalAI/", "/local-ai$"],
  traits: [
    { path: "/", body: "<title>[^<]*LocalAI", weight: "identity", says: "the page is titled LocalAI" },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?(?:localai_|api_call_bucket)",
      weight: "strong",
      says: "LocalAI's metrics",
    },
    {
      path: "/system",
      json: { backends: { is: "array" }, loaded_models: { is: "present" } },
      weight: "strong",
      says: "LocalAI's system document",
    },
    {
      path: "/models/available",
      json: { "[].gallery.name": { matches: "localai|model-gallery" } },
      weight: "strong",
      says: "LocalAI's gallery",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  sources: [
    "https://localai.io/basics/",
    "https://github.com/mudler/LocalAI",
    "https://github.com/praetorian-inc/julius",
  ],
  fixtures: {
    positive: [
      {
        source:
          "code: mudler/LocalAI core/schema/localai.go (SystemInformationResponse); documented: core/http/views/index.html",
        answers: {
          "/": { body: "<!DOCTYPE html><html><head><title>LocalAI API - v3.7.0</title></head></html>" },
          "/system": { body: { backends: ["llama-cpp"], loaded_models: [] } },
          "/v1/models": { body: { object: "list", data: [{ id: "phi-2", object: "model" }] } },
        },
      },
      {
        source: "documented: LocalAI core/services/metrics.go (histogram api_call)",
        answers: {
          "/": { status: 401, body: { error: { code: 401, message: "An authentication key is required" } } },
          "/metrics": {
            body: '# TYPE api_call histogram\napi_call_bucket{method="GET",path="/",le="0"} 0\n',
          },
        },
      },
      {
        source: "documented: localai.io/models (GET /models/available)",
        answers: {
          "/models/available": {
            body: [
              {
                name: "phi-2",
                gallery: { url: "github:mudler/LocalAI/gallery/index.yaml@master", name: "localai" },
              },
            ],
          },
        },
      },
    ],
    negative: [
      { source: "made up: a blog", answers: { "/": { body: "<title>My blog</title> about LocalAI" } } },
      {
        source: "documented: Prometheus client for Go, default metrics",
        answers: { "/metrics": { body: "# HELP go_goroutines Number\ngo_goroutines 8\n" } },
      },
    ],
  },
};

export default entry;
