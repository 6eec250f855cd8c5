import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "kokoro-fastapi",
  name: "Kokoro-FastAPI",
  kind: "speech",
  ports: [8880],
  names: [],
  runsOn: ["python"],
  commands: ["/Kokoro-FastAPI[^/]*/[^ ]+ (?:.* )?api\\.src\\.main:app(?: |$)"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Kokoro TTS API" } },
      weight: "identity",
      says: "the API description is titled Kokoro TTS API",
    },
  ],
  version: [{ path: "/openapi.json", at: "info.version" }],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  sources: ["https://github.com/remsky/Kokoro-FastAPI"],
  fixtures: {
    positive: [
      {
        source: "code: remsky/Kokoro-FastAPI 26eec06 api/src/core/config.py (api_title), main.py",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "Kokoro TTS API", version: "1.0.0" }, paths: {} },
          },
        },
      },
      {
        source: "code: remsky/Kokoro-FastAPI 26eec06 start-cpu.sh, in the environment that uv makes for it",
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/home/ada/Kokoro-FastAPI/.venv/bin/python3",
            "/home/ada/Kokoro-FastAPI/.venv/bin/uvicorn",
            "api.src.main:app",
            "--host",
            "0.0.0.0",
            "--port",
            "8880",
          ],
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
