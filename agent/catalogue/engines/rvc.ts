import type { CatalogEntry } from "../entry.ts";

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
      body: '(?:"title":\\s*|property="og:title" content=)"(?:RVC WebUI|Applio)"|<title>(?:RVC WebUI|Applio)</title>',
      weight: "identity",
      says: "the page is titled RVC WebUI or Applio",
    },
  ],
  impersonates: ["gradio"],
  sources: [
    "https://github.com/IAHispano/Applio",
    "https://github.com/RVC-Project/Retrieval-based-Voice-Conversion-WebUI",
  ],
  fixtures: {
    positive: [
      {
        source:
          "code: IAHispano/Applio b9c0ccb app.py (gr.Blocks title); gradio 6.31.0 (PyPI) templates/frontend/index.html",
        answers: {
          "/": {
            body: '<meta property="og:title" content="Applio" /><script>window.gradio_config = {"version":"6.20.0"',
          },
        },
      },
      {
        source: "code: RVC-Project/Retrieval-based-Voice-Conversion-WebUI 4338f12 webui.py (gr.Blocks title)",
        answers: {
          "/": {
            body: '<meta property="og:title" content="RVC WebUI" /><script>window.gradio_config = {"version":"4.44.1"',
          },
        },
      },
      {
        source: "code: IAHispano/Applio b9c0ccb app.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/Applio/app.py"],
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
