import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tabby",
  name: "Tabby",
  kind: "coding-agent",
  ports: [8080],
  names: ["tabby"],
  commands: ["(?:^|/)tabby(?:_[a-z0-9-]+)?(?:\\.exe)? serve\\b.*--(?:model|device|chat-model|port)"],
  traits: [
    {
      path: "/v1/health",
      json: { device: { is: "string" }, cpu_info: { is: "string" }, "version.git_sha": { is: "present" } },
      weight: "strong",
      says: "Tabby's health document",
    },
  ],
  version: [{ path: "/v1/health", at: "version.git_describe" }],
  models: [{ path: "/v1/health", each: "", name: "model", loaded: true }],
  absorbs: ["llama-cpp", "unknown-weights", "openai-compatible"],
  directories: [{ path: "~/.tabby/models", layout: "files" }],
  sources: ["https://tabby.tabbyml.com/"],
  fixtures: {
    positive: [
      {
        source: "code: TabbyML/tabby 21b2904 crates/tabby/src/services/health.rs",
        answers: {
          "/v1/health": {
            body: {
              model: "TabbyML/StarCoder-1B",
              device: "cuda",
              arch: "x86_64",
              cpu_info: "AMD Ryzen",
              cpu_count: 16,
              cuda_devices: [],
              version: {
                build_date: "2025-01-01",
                build_timestamp: "x",
                git_sha: "97c8d1a",
                git_describe: "v0.30.0",
              },
            },
          },
        },
      },
      {
        source: "documented: tabby.tabbyml.com, run by systemd",
        process: {
          executable: "/usr/local/bin/tabby",
          argv: ["tabby", "serve", "--model", "StarCoder-1B", "--device", "cuda"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Tabby Terminal, another program of that name",
        process: { executable: "/opt/Tabby/tabby", argv: ["/opt/Tabby/tabby"] },
      },
    ],
  },
};

export default entry;
