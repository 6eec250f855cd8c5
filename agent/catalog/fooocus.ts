import type { CatalogEntry } from "./entry.ts";

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
      body: '<title>Fooocus|"title":\\s*"Fooocus',
      weight: "identity",
      says: "the page is titled Fooocus",
    },
  ],
  sources: ["https://github.com/lllyasviel/Fooocus"],
  fixtures: {
    positive: [
      {
        source: "documented: lllyasviel/Fooocus webui.py (gradio title)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Fooocus 2.5.5</title></head><body></body></html>" },
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
