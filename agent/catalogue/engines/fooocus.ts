import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "fooocus",
  name: "Fooocus",
  kind: "image",
  ports: [7865],
  names: ["fooocus"],
  runsOn: ["python"],
  commands: ["/Fooocus[^/ ]*/(?:entry_with_update|launch|webui)\\.py"],
  traits: [
    {
      path: "/",
      body: '(?:<title>|"title":\\s*"|property="og:title" content=")Fooocus',
      weight: "identity",
      says: "the page is titled Fooocus",
    },
  ],
  impersonates: ["gradio"],
  sources: ["https://github.com/lllyasviel/Fooocus"],
  fixtures: {
    positive: [
      {
        source:
          "code: lllyasviel/Fooocus v2.5.5 webui.py (title); gradio 3.41.2 (PyPI) templates/frontend/index.html",
        answers: {
          "/": {
            body: '<meta property="og:title" content="Fooocus 2.5.5" /><script>window.gradio_config = {"version": "3.41.2"',
          },
        },
      },
      {
        source: "code: lllyasviel/Fooocus v2.5.5 entry_with_update.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/Fooocus/entry_with_update.py"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an ordinary page",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>My application</title></head><body></body></html>",
          },
        },
      },
    ],
  },
};

export default entry;
