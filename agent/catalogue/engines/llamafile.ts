import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "llamafile",
  name: "llamafile",
  kind: "inference-engine",
  ports: [8080],
  names: ["llamafile", "llamafile-*", "llamafiler", "*.llamafile"],
  commands: ["\\.llamafile\\b"],
  traits: [
    {
      path: "/",
      headers: { server: "^llamafiler?/" },
      statuses: [200, 404],
      weight: "identity",
      says: "the Server header is llamafile",
    },
    { path: "/", body: "<title>llamafile", weight: "identity", says: "the page is titled llamafile" },
  ],
  version: [{ path: "/", at: "header:server", matches: "^llamafiler?/(\\S+)" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  impersonates: ["llama-cpp"],
  absorbs: ["llama-cpp", "unknown-weights", "openai-compatible"],
  directories: [{ path: "~/.llamafile", layout: "files" }],
  sources: ["https://github.com/mozilla-ai/llamafile"],
  fixtures: {
    positive: [
      {
        source:
          "code: mozilla-ai/llamafile 0.9.3 llamafile/server/client.cpp (Server header), server/www/index.html",
        answers: {
          "/": { headers: { server: "llamafiler/0.9.3" }, body: "<!doctype html><title>llamafile</title>" },
          "/v1/models": {
            body: { object: "list", data: [{ id: "model", object: "model", owned_by: "llamacpp" }] },
          },
        },
      },
      {
        source: "documented: llamafile README, run as a single file",
        process: {
          executable: "/home/ada/llava-v1.5-7b-q4.llamafile",
          argv: ["./llava-v1.5-7b-q4.llamafile"],
        },
      },
      {
        source:
          "code: jart/cosmopolitan ape/loader.c (the loader in TMPDIR or the home directory, with the program as first argument)",
        process: {
          executable: "/home/ada/.ape-1.10",
          argv: ["/home/ada/.ape-1.10", "/home/ada/llava-v1.5-7b-q4.llamafile", "--server"],
        },
      },
      {
        source: "code: jart/cosmopolitan ape/apeinstall.sh (binfmt_misc with flag P)",
        process: {
          executable: "/usr/bin/ape",
          argv: ["/usr/bin/ape", "/home/ada/llava-v1.5-7b-q4.llamafile", "./llava-v1.5-7b-q4.llamafile"],
        },
      },
    ],
    negative: [
      {
        source:
          "code: jart/cosmopolitan ape/loader.c (another program in the same format, which edits a llamafile)",
        process: {
          executable: "/usr/bin/ape",
          argv: ["/usr/bin/ape", "/home/ada/bin/vim.com", "/home/ada/llava-v1.5-7b-q4.llamafile"],
        },
      },
      {
        source: "documented: llama.cpp tools/server/README.md",
        answers: { "/": { headers: { server: "llama.cpp" }, body: "<title>llama.cpp - chat</title>" } },
      },
    ],
  },
};

export default entry;
