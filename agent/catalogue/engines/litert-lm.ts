import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "litert-lm",
  name: "LiteRT-LM",
  kind: "inference-engine",
  ports: [9379],
  names: ["litert-lm", "litert_lm_main"],
  runsOn: ["python"],
  commands: ["(?:^|/)litert-lm (?:serve|run)\\b"],
  libraries: ["/liblitert_lm|/libLiteRtLm"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.litert-lm", layout: "files" }],
  sources: ["https://ai.google.dev/edge/litert-lm/cli/openai_server"],
  fixtures: {
    positive: [
      {
        source: "documented: ai.google.dev/edge/litert-lm/cli/openai_server",
        process: {
          executable: "/home/ada/.local/bin/litert-lm",
          argv: ["litert-lm", "serve", "--port", "9379"],
        },
      },
      {
        source: "recorded from litert-lm 0.18.1 (litert-lm serve), no model imported",
        answers: {
          "/": {
            status: 404,
            headers: { server: "BaseHTTP/0.6 Python/3.12.1" },
            body: '<!DOCTYPE HTML>\n<html lang="en">\n    <head>\n        <meta charset="utf-8">\n        <title>Error response</title>\n    </head>\n    <body>\n        <h1>Error response</h1>\n        <p>Error code: 404</p>\n        <p>Message: Not Found.</p>\n        <p>Error code explanation: 404 - Nothing matches the given URI.</p>\n    </body>\n</html>\n',
          },
          "/v1/models": {
            headers: { server: "BaseHTTP/0.6 Python/3.12.1" },
            body: { object: "list", data: [] },
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/litert-lm",
            "serve",
            "--host",
            "127.0.0.1",
            "--port",
            "21132",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: another program in a folder with a similar name",
        process: { executable: "/opt/litert/converter", argv: ["converter"] },
      },
    ],
  },
};

export default entry;
