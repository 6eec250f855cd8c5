import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "chroma",
  name: "Chroma",
  kind: "vector-db",
  ports: [8000],
  names: ["chroma", "chromadb"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])chroma run\\b"],
  traits: [
    {
      path: "/api/v2/heartbeat",
      json: { "nanosecond heartbeat": { is: "number" } },
      weight: "strong",
      says: "Chroma's heartbeat",
    },
    {
      path: "/api/v1/heartbeat",
      json: { "nanosecond heartbeat": { is: "number" } },
      weight: "strong",
      says: "Chroma's heartbeat",
    },
  ],
  version: [{ path: "/api/v2/version", at: "body", matches: '^"?(\\d[\\w.]*)' }],
  sources: ["https://docs.trychroma.com/"],
  fixtures: {
    positive: [
      {
        source: "recorded from chromadb 1.5.9 (chroma run)",
        answers: {
          "/": { status: 404 },
          "/api/v2/heartbeat": { body: { "nanosecond heartbeat": 1795313831110535200 } },
          "/api/v2/version": { body: '"1.0.0"' },
          "/api/v1/heartbeat": {
            status: 410,
            body: { error: "Unimplemented", message: "The v1 API is deprecated. Please use /v2 apis" },
          },
        },
      },
      {
        source:
          "code: chromadb 0.5.23 (PyPI) server/fastapi/__init__.py (GET /api/v1/heartbeat, /api/v2/heartbeat)",
        answers: {
          "/api/v2/heartbeat": { body: { "nanosecond heartbeat": 1763762400000000000 } },
          "/api/v1/heartbeat": { body: { "nanosecond heartbeat": 1763762400000000000 } },
          "/api/v2/version": { body: '"1.3.0"' },
        },
      },
      {
        source: "recorded from chromadb 1.5.9 (chroma run), its command line",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/chroma", "run", "--host", "::1", "--path", "/srv/chromadb"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a heartbeat response of another service",
        answers: { "/api/v2/heartbeat": { body: { ok: true } } },
      },
    ],
  },
};

export default entry;
