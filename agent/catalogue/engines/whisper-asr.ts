import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "whisper-asr",
  name: "whisper-asr-webservice",
  kind: "speech",
  ports: [9000],
  names: ["whisper-asr-webservice"],
  runsOn: ["python"],
  commands: ["(?:^|/)whisper-asr-webservice(?: |$)"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Whisper Asr Webservice" } },
      weight: "identity",
      says: "the API description is titled Whisper Asr Webservice",
    },
  ],
  version: [{ path: "/openapi.json", at: "info.version" }],
  directories: [{ path: "~/.cache/whisper", layout: "files" }],
  sources: ["https://github.com/ahmetoner/whisper-asr-webservice"],
  fixtures: {
    positive: [
      {
        source: "code: ahmetoner/whisper-asr-webservice v1.9.1 app/webservice.py (title of the package name)",
        answers: {
          "/": { status: 307, headers: { location: "/docs" }, body: "" },
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "Whisper Asr Webservice", version: "1.9.1" },
              paths: {},
            },
          },
        },
      },
      {
        source: "code: ahmetoner/whisper-asr-webservice v1.9.1 pyproject.toml",
        process: {
          executable: "/app/.venv/bin/python3.10",
          argv: ["/app/.venv/bin/python", "/app/.venv/bin/whisper-asr-webservice", "--host", "0.0.0.0"],
        },
      },
    ],
    negative: [
      {
        source: "recorded from FastAPI: its default description",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
      },
    ],
  },
};

export default entry;
