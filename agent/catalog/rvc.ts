import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "rvc",
  name: "RVC and Applio",
  kind: "speech",
  ports: [7865, 6969, 7897],
  names: ["applio"],
  runsOn: ["python"],
  commands: ["(?:/Applio[^/ ]*/app\\.py|\\binfer-web\\.py)"],
  traits: [
    {
      path: "/",
      body: '<title>(?:RVC WebUI|Applio|Retrieval-based-Voice-Conversion)|"title":\\s*"(?:RVC WebUI|Applio)"',
      weight: "identity",
      says: "the page is titled RVC WebUI or Applio",
    },
  ],
  sources: [
    "https://github.com/IAHispano/Applio",
    "https://github.com/RVC-Project/Retrieval-based-Voice-Conversion-WebUI",
  ],
  fixtures: {
    positive: [
      {
        source: "documented: IAHispano/Applio app.py (gradio title)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Applio</title></head><body></body></html>" },
        },
      },
      {
        source: "code: RVC-Project/Retrieval-based-Voice-Conversion-WebUI infer-web.py (gr.Blocks title)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>RVC WebUI</title></head><body></body></html>" },
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
