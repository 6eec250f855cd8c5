import type { CatalogEntry } from "../entry.ts";

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
      body: '(?:<title>|"title":\\s*"|property="og:title" content=")h2oGPT',
      weight: "identity",
      says: "the page is titled h2oGPT",
    },
  ],
  openai: true,
  impersonates: ["gradio"],
  sources: ["https://github.com/h2oai/h2ogpt"],
  fixtures: {
    positive: [
      {
        source:
          "code: h2oai/h2ogpt a0ad192 src/gradio_runner.py (gr.Blocks title); gradio 4.44.1 (PyPI) templates/frontend/index.html",
        answers: {
          "/": {
            body: '<meta property="og:title" content="h2oGPT" /><script>window.gradio_config = {"version":"4.44.0"',
          },
        },
      },
      {
        source: "code: h2oai/h2ogpt a0ad192 generate.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/h2ogpt/generate.py", "--base_model=x"],
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
