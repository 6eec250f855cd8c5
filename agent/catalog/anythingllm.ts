import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "anythingllm",
  name: "AnythingLLM",
  kind: "ui",
  ports: [3001],
  names: ["anythingllm", "anythingllmdesktop", "anythingllm-desktop"],
  runsOn: ["node"],
  binaries: ["/AnythingLLM[^/]*/", "/AnythingLLM\\.app/Contents/"],
  traits: [
    { path: "/", body: "<title>AnythingLLM", weight: "identity", says: "the page is titled AnythingLLM" },
    {
      path: "/api/setup-complete",
      json: { "results.VectorDB": { is: "present" }, "results.LLMProvider": { is: "present" } },
      weight: "strong",
      says: "AnythingLLM's settings",
    },
  ],
  absorbs: ["ollama", "llama-cpp", "unknown-weights"],
  directories: [
    { path: "~/.config/anythingllm-desktop/storage/models", layout: "files" },
    { path: "~/Library/Application Support/anythingllm-desktop/storage/models", layout: "files" },
    { path: "~/AppData/Roaming/anythingllm-desktop/storage/models", layout: "files" },
  ],
  sources: ["https://docs.anythingllm.com/", "https://docs.anythingllm.com/installation-desktop/windows"],
  fixtures: {
    positive: [
      {
        source:
          "code: Mintplex-Labs/anything-llm frontend/index.html; documented: server/models/systemSettings.js",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>AnythingLLM | Your personal LLM trained on anything</title></head><body></body></html>",
          },
          "/api/ping": { body: { online: true } },
          "/api/setup-complete": {
            body: {
              results: {
                RequiresAuth: false,
                AuthToken: false,
                VectorDB: "lancedb",
                LLMProvider: "ollama",
                LLMModel: "llama3",
              },
            },
          },
        },
      },
      {
        source: "documented: AnythingLLM Desktop for Linux (AppImage)",
        process: { executable: "/home/ada/AnythingLLMDesktop/anythingllm-desktop" },
      },
    ],
    negative: [
      {
        source: "made up: an application that answers ping",
        answers: { "/api/ping": { body: { online: true } } },
      },
    ],
  },
};

export default entry;
