import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mlserver",
  name: "MLServer",
  kind: "inference-engine",
  ports: [8080, 8081, 8082],
  names: ["mlserver"],
  runsOn: ["python"],
  commands: ["(?:^|/)mlserver start\\b"],
  traits: [
    {
      path: "/v2",
      json: { name: { matches: "^mlserver$" }, extensions: { is: "array" } },
      weight: "identity",
      says: "its server metadata names mlserver",
    },
  ],
  version: [{ path: "/v2", at: "version" }],
  sources: ["https://docs.seldon.ai/mlserver"],
  fixtures: {
    positive: [
      {
        source: "recorded from MLServer 1.7.1 (mlserver start) with a model that answers what it is asked",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/v2": {
            headers: { server: "uvicorn" },
            body: { name: "mlserver", version: "1.7.1", extensions: [] },
          },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["/venv/bin/python", "/venv/bin/mlserver", "start", "."],
        },
      },
    ],
    negative: [
      {
        source: "recorded from tritonserver 2.51.0 as packed in nvidia-pytriton 0.7.0 (PyPI)",
        answers: { "/v2": { body: { name: "triton", version: "2.51.0", extensions: ["classification"] } } },
      },
      {
        source: "made up: another server that returns metadata",
        answers: { "/v2": { body: { name: "orders", version: "1.7.1", extensions: [] } } },
      },
    ],
  },
};

export default entry;
