import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "xtts",
  name: "Coqui TTS",
  kind: "speech",
  ports: [5002, 8020],
  names: ["tts-server", "xtts_api_server"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])tts-server\\b.*--(?:model_name|model_path)", "-m xtts_api_server\\b"],
  traits: [
    {
      path: "/",
      body: "<title>TTS engine</title>|github\\.com/(?:coqui-ai/TTS|idiap/coqui-ai-TTS)",
      weight: "strong",
      says: "the page is that of a Coqui TTS server",
    },
    {
      path: "/openapi.json",
      body: '"/speakers_list"[^]*"/tts_to_audio/"',
      weight: "strong",
      says: "the API description has the paths of the XTTS API server",
    },
  ],
  directories: [{ path: "~/.local/share/tts", layout: "files" }],
  sources: ["https://github.com/coqui-ai/TTS", "https://github.com/daswer123/xtts-api-server"],
  fixtures: {
    positive: [
      {
        source: "code: coqui-tts 0.28.0 (PyPI) TTS/server/templates/index.html",
        answers: {
          "/": {
            body: '<!DOCTYPE html><html><head><title>TTS engine</title></head><a href="https://github.com/idiap/coqui-ai-TTS">',
          },
        },
      },
      {
        source: "code: xtts-api-server 0.9.0 (PyPI) server.py (routes)",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "FastAPI", version: "0.1.0" },
              paths: { "/speakers_list": {}, "/speakers": {}, "/tts_to_audio/": {} },
            },
          },
        },
      },
      {
        source: "documented: coqui-ai/TTS README",
        process: {
          executable: "/usr/bin/python3.10",
          argv: ["python3", "/usr/local/bin/tts-server", "--model_name", "tts_models/en/vctk/vits"],
        },
      },
      {
        source: "code: xtts-api-server 0.9.0 (PyPI) __main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "xtts_api_server"],
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
