import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "gpt-sovits",
  name: "GPT-SoVITS",
  kind: "speech",
  ports: [9874, 9880, 9872],
  names: [],
  runsOn: ["python"],
  commands: ["/GPT-SoVITS[^/ ]*/(?:webui|api(?:_v2)?)\\.py"],
  traits: [
    {
      path: "/",
      body: '(?:<title>|"title":\\s*"|property="og:title" content=")GPT-SoVITS',
      weight: "identity",
      says: "the page is titled GPT-SoVITS",
    },
  ],
  impersonates: ["gradio"],
  sources: ["https://github.com/RVC-Boss/GPT-SoVITS"],
  fixtures: {
    positive: [
      {
        source:
          "code: RVC-Boss/GPT-SoVITS 48b1a01 webui.py (gr.Blocks title); gradio 4.44.1 (PyPI) templates/frontend/index.html",
        answers: {
          "/": {
            body: '<meta property="og:title" content="GPT-SoVITS WebUI" /><script>window.gradio_config = {"version":"4.44.1"',
          },
        },
      },
      {
        source: "documented: GPT-SoVITS api_v2.py",
        process: { executable: "/usr/bin/python3.11", argv: ["python3", "/opt/GPT-SoVITS/api_v2.py"] },
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
