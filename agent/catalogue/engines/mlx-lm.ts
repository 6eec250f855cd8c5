import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mlx-lm",
  name: "mlx-lm server",
  kind: "inference-engine",
  ports: [8080],
  names: ["mlx_lm.server", "mlx_lm.generate", "mlx_lm.chat"],
  runsOn: ["python"],
  commands: ["-m mlx_lm[. ](?:server|generate|chat)\\b", "/mlx_lm\\.(?:server|generate|chat)\\b"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/SERVER.md"],
  fixtures: {
    positive: [
      {
        source: "code: mlx-lm 0.32.2 (PyPI) server.py: models without an owner, nothing that names it",
        process: {
          executable: "/opt/homebrew/bin/python3.12",
          argv: ["python3", "-m", "mlx_lm.server", "--model", "mlx-community/Llama-3.2-3B-Instruct-4bit"],
        },
      },
      {
        source: "recorded from mlx-lm 0.32.2 for Linux with a small Llama of random weights",
        answers: {
          "/": { status: 404, headers: { server: "BaseHTTP/0.6 Python/3.12.1" }, body: "Not Found" },
          "/v1/models": {
            headers: { server: "BaseHTTP/0.6 Python/3.12.1" },
            body: { object: "list", data: [{ id: "/srv/tiny", object: "model", created: 1795774019 }] },
          },
          "/health": { headers: { server: "BaseHTTP/0.6 Python/3.12.1" }, body: { status: "ok" } },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/mlx_lm.server",
            "--model",
            "/srv/tiny",
            "--host",
            "127.0.0.1",
            "--port",
            "21131",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
