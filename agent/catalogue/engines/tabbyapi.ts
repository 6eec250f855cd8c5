import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tabbyapi",
  name: "TabbyAPI",
  kind: "inference-engine",
  ports: [5000],
  names: ["tabbyapi"],
  runsOn: ["python"],
  commands: ["/tabbyAPI[^/ ]*/(?:main|start)\\.py"],
  libraries: ["/tabbyAPI[^/]*/.*/exllamav[23]_ext"],
  traits: [
    {
      path: "/.well-known/serviceinfo",
      json: { "software.name": { matches: "^TabbyAPI$" } },
      weight: "identity",
      says: "its service information names TabbyAPI",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^tabbyAPI$" } },
      weight: "identity",
      says: "its models are owned by tabbyAPI",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  impersonates: ["koboldcpp"],
  sources: ["https://github.com/theroyallab/tabbyAPI/wiki"],
  fixtures: {
    positive: [
      {
        source: "code: theroyallab/tabbyAPI e632af4 endpoints/core/router.py (GET /.well-known/serviceinfo)",
        answers: {
          "/.well-known/serviceinfo": {
            body: {
              version: 0.1,
              software: { name: "TabbyAPI", repository: "https://github.com/theroyallab/tabbyAPI" },
              api: { openai: { name: "OpenAI API", relative_url: "/v1" } },
            },
          },
          "/v1/models": { status: 401, body: { detail: "Please provide an API key" } },
        },
      },
      {
        source: "code: theroyallab/tabbyAPI e632af4 endpoints/core/types/model.py (ModelCard)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "Llama-3-8B-exl2", object: "model", created: 1700000000, owned_by: "tabbyAPI" }],
            },
          },
        },
      },
      {
        source: "code: theroyallab/tabbyAPI e632af4 start.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/tabbyAPI/start.py"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another program that loads the library of ExLlamaV2",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["python3", "chat.py"],
          libraries: ["/venv/lib/python3.11/site-packages/exllamav2_ext.cpython-311-x86_64-linux-gnu.so"],
        },
      },
      {
        source: "documented: a fediverse server has service information as well",
        answers: { "/.well-known/serviceinfo": { body: { software: { name: "mastodon" } } } },
      },
    ],
  },
};

export default entry;
