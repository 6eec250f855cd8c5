import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mlx-vlm",
  name: "MLX-VLM",
  kind: "inference-engine",
  ports: [8080],
  names: ["mlx_vlm.server", "mlx_vlm.generate", "mlx_vlm.chat"],
  runsOn: ["python"],
  commands: ["-m mlx_vlm[. ](?:server|generate|chat)\\b", "/mlx_vlm\\.(?:server|generate|chat)\\b"],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^MLX-VLM Inference API$" } },
      weight: "identity",
      says: "the API description is titled MLX-VLM Inference API",
    },
  ],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/Blaizzy/mlx-vlm"],
  fixtures: {
    positive: [
      {
        source: "code: mlx-vlm 0.7.10 (PyPI) mlx_vlm/server/app.py (FastAPI title)",
        answers: {
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "MLX-VLM Inference API", version: "0.7.10" },
              paths: {},
            },
          },
        },
      },
      {
        source: "code: mlx-vlm 0.7.10 (PyPI) mlx_vlm/server/__main__.py",
        process: {
          executable: "/opt/homebrew/bin/python3.12",
          argv: ["python3", "-m", "mlx_vlm.server", "--port", "8080"],
        },
      },
      {
        source: "code: mlx-vlm 0.7.10 (PyPI) entry_points.txt",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/mlx_vlm.server", "--port", "8080"],
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
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
