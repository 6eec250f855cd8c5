import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "ramalama",
  name: "RamaLama",
  kind: "inference-engine",
  ports: [8080],
  names: ["ramalama"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])ramalama (?:--\\S+ )*(?:serve|run|chat)\\b"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: true }],
  openai: true,
  directories: [
    { path: "~/.local/share/ramalama", layout: "files" },
    { path: "/var/lib/ramalama", layout: "files" },
  ],
  sources: ["https://github.com/containers/ramalama"],
  fixtures: {
    positive: [
      {
        source: "code: ramalama 0.25.0 (PyPI) ramalama/cli.py (serve)",
        process: {
          executable: "/usr/bin/python3.13",
          argv: ["/usr/bin/python3", "/usr/bin/ramalama", "serve", "granite"],
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
