import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "lollms",
  name: "LoLLMs",
  kind: "inference-app",
  ports: [9600],
  names: ["lollms", "lollms-webui"],
  runsOn: ["python"],
  commands: ["/lollms-webui[^/ ]*/app\\.py", "(?:^|[/ ])lollms-server\\b"],
  traits: [{ path: "/", body: "<title>LoLLMS", weight: "identity", says: "the page is titled LoLLMS" }],
  openai: true,
  impersonates: ["ollama"],
  sources: ["https://github.com/ParisNeo/lollms-webui"],
  fixtures: {
    positive: [
      {
        source: "code: ParisNeo/lollms-webui e6afb66 web/dist/index.html, which app.py mounts at /",
        answers: {
          "/": { body: "<!doctype html><html><head><title>LoLLMS WebUI</title></head><body></body></html>" },
        },
      },
      {
        source: "code: ParisNeo/lollms-webui e6afb66 app.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/lollms-webui/app.py"],
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
