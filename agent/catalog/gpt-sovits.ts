import type { CatalogEntry } from "./entry.ts";

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
      body: '<title>GPT-SoVITS|"title":\\s*"GPT-SoVITS',
      weight: "identity",
      says: "the page is titled GPT-SoVITS",
    },
  ],
  sources: ["https://github.com/RVC-Boss/GPT-SoVITS"],
  fixtures: {
    positive: [
      {
        source: "code: RVC-Boss/GPT-SoVITS webui.py (gr.Blocks title)",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>GPT-SoVITS WebUI</title></head><body></body></html>",
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
