import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "localai",
  name: "LocalAI",
  kind: "inference-engine",
  ports: [8080],
  names: ["local-ai", "localai", "local-ai-*"],
  binaries: ["/local-ai(?:-v\\d[\\w.-]*)?(?:\\.exe)?$"],
  traits: [
    { path: "/", body: "<title>[^<]*LocalAI", weight: "identity", says: "the page is titled LocalAI" },
    {
      path: "/metrics",
      body: '(?:^|\\n)(?:# HELP )?localai_|otel_scope_name="github\\.com/[\\w-]+/LocalAI"|# HELP api_call api calls\\n',
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
  sources: ["https://localai.io/basics/", "https://github.com/mudler/LocalAI"],
  fixtures: {
    positive: [
      {
        source:
          "code: mudler/LocalAI v4.9.0 core/schema/localai.go (SystemInformationResponse), core/http/endpoints/localai/welcome.go (title)",
        answers: {
          "/": { body: "<!DOCTYPE html><html><head><title>LocalAI API - v3.7.0</title></head></html>" },
          "/system": { body: { backends: ["llama-cpp"], loaded_models: [] } },
          "/v1/models": { body: { object: "list", data: [{ id: "phi-2", object: "model" }] } },
        },
      },
      {
        source:
          "code: mudler/LocalAI v4.9.0 core/services/monitoring/metrics.go (histogram api_call of a named meter)",
        answers: {
          "/": { status: 401, body: { error: { code: 401, message: "An authentication key is required" } } },
          "/metrics": {
            body: '# HELP api_call api calls\n# TYPE api_call histogram\napi_call_bucket{method="GET",otel_scope_name="github.com/mudler/LocalAI",path="/",le="0"} 0\n',
          },
        },
      },
      {
        source:
          "code: mudler/LocalAI v4.9.0 core/http/routes/localai.go (GET /models/available), core/gallery/metadata_type.go",
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
      {
        source: "code: mudler/LocalAI v4.9.0 Makefile (BINARY_NAME)",
        process: {
          executable: "/usr/local/bin/local-ai",
          argv: ["local-ai", "run"],
        },
      },
    ],
    negative: [
      { source: "made up: a blog", answers: { "/": { body: "<title>My blog</title> about LocalAI" } } },
      {
        source: "made up: another program with a metric for API calls",
        answers: { "/metrics": { body: '# TYPE api_call histogram\napi_call_bucket{path="/",le="0"} 0\n' } },
      },
      {
        source: "documented: Prometheus client for Go, default metrics",
        answers: { "/metrics": { body: "# HELP go_goroutines Number\ngo_goroutines 8\n" } },
      },
    ],
  },
};

export default entry;
