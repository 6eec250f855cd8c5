import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "h2ogpt",
  name: "h2oGPT",
  kind: "rag",
  ports: [7860, 5000],
  names: ["h2ogpt"],
  runsOn: ["python"],
  commands: ["/h2ogpt[^/ ]*/generate\\.py"],
  traits: [
    {
      path: "/",
      body: '<title>h2oGPT|"title":\\s*"h2oGPT',
      weight: "identity",
      says: "the page is titled h2oGPT",
    },
  ],
  openai: true,
  sources: ["https://github.com/h2oai/h2ogpt"],
  fixtures: {
    positive: [
      {
        source: "code: h2oai/h2ogpt src/gradio_runner.py (gr.Blocks title)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>h2oGPT</title></head><body></body></html>" },
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
