import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "gpt4all",
  name: "GPT4All",
  kind: "inference-app",
  ports: [4891],
  names: ["gpt4all"],
  binaries: ["/(?:gpt4all|GPT4All)[^/]*/(?:bin/)?(?:chat|gpt4all)(?:\\.exe)?$", "/gpt4all\\.app/Contents/"],
  libraries: ["/libllmodel|/llmodel\\.dll|/gpt4all/llmodel_DO_NOT_MODIFY/"],
  traits: [
    {
      path: "/v1/models",
      json: {
        "data[].owned_by": { matches: "^humanity$" },
        "data[].permissions[].object": { is: "present" },
      },
      weight: "identity",
      says: "its models are owned by humanity",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [
    { path: "~/.local/share/nomic.ai/GPT4All", layout: "files" },
    { path: "~/Library/Application Support/nomic.ai/GPT4All", layout: "files" },
    { path: "~/AppData/Local/nomic.ai/GPT4All", layout: "files" },
    { path: "~/.cache/gpt4all", layout: "files" },
  ],
  sources: [
    "https://docs.gpt4all.io/gpt4all_api_server/home.html",
    "https://docs.gpt4all.io/gpt4all_desktop/settings.html",
    "https://github.com/nomic-ai/gpt4all",
  ],
  fixtures: {
    positive: [
      {
        source: "code: nomic-ai/gpt4all v3.10.0 gpt4all-chat/src/server.cpp (modelToJson)",
        answers: {
          "/v1/models": {
            body: {
              object: "list",
              data: [
                {
                  id: "Llama 3 8B Instruct",
                  object: "model",
                  created: 0,
                  owned_by: "humanity",
                  root: "Llama 3 8B Instruct",
                  parent: null,
                  permissions: [{ id: "placeholder", object: "model_permission", allow_sampling: true }],
                },
              ],
            },
          },
        },
      },
      {
        source: "documented: GPT4All Linux installer layout",
        process: { executable: "/home/ada/gpt4all/bin/chat", argv: ["/home/ada/gpt4all/bin/chat"] },
      },
      {
        source: "code: nomic-ai/gpt4all v3.10.0 gpt4all-bindings/python/gpt4all/_pyllmodel.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "app.py"],
          libraries: ["/venv/lib/python3.11/site-packages/gpt4all/llmodel_DO_NOT_MODIFY/build/libllmodel.so"],
        },
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
      { source: "made up: any program named chat", process: { executable: "/usr/bin/chat" } },
    ],
  },
};

export default entry;
