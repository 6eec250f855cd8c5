import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "anythingllm",
  name: "AnythingLLM",
  kind: "ui",
  ports: [3001],
  names: ["anythingllm", "anythingllmdesktop", "anythingllm-desktop"],
  runsOn: ["node"],
  binaries: ["/anythingllm-?desktop[^/]*$", "/AnythingLLM\\.app/Contents/"],
  traits: [
    {
      path: "/",
      body: "<title>AnythingLLM \\| Your personal LLM",
      weight: "identity",
      says: "the page has AnythingLLM's title",
    },
    {
      path: "/api/setup-complete",
      json: {
        "results.VectorDB": { is: "string" },
        "results.LLMProvider": { is: "present" },
        "results.EmbeddingEngine": { is: "present" },
        "results.MultiUserMode": { is: "boolean" },
      },
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
          "code: Mintplex-Labs/anything-llm v1.16.0 server/utils/boot/MetaGenerator.js (title), server/models/systemSettings.js (currentSettings)",
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
                MultiUserMode: false,
                EmbeddingEngine: "native",
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
        source: "made up: the settings response of another document assistant",
        answers: {
          "/api/setup-complete": {
            body: { results: { VectorDB: "chroma", LLMProvider: "openai", MultiUserMode: false } },
          },
        },
      },
      {
        source: "made up: a page about the product",
        answers: {
          "/": { body: "<!doctype html><html><head><title>AnythingLLM notes</title></head></html>" },
        },
      },
      {
        source: "made up: a build tool in a source folder of the product",
        process: {
          executable: "/home/ada/src/AnythingLLM/node_modules/@esbuild/linux-x64/bin/esbuild",
          argv: ["esbuild", "--service"],
        },
      },
      {
        source: "made up: any Python program in a folder with the name of the product",
        process: {
          executable: "/home/ada/AnythingLLM-scripts/venv/bin/python3.12",
          argv: ["python3", "a.py"],
        },
      },
      {
        source: "made up: an application that responds to a ping request",
        answers: { "/api/ping": { body: { online: true } } },
      },
    ],
  },
};

export default entry;
