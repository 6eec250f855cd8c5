import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "aider",
  name: "Aider",
  kind: "coding-agent",
  ports: [],
  names: ["aider"],
  runsOn: ["python"],
  binaries: ["/(?:tools|venvs)/aider-chat/"],
  commands: ["/aider-chat/bin/", "-m aider\\b"],
  traits: [],
  sources: ["https://aider.chat/docs/install.html"],
  fixtures: {
    positive: [
      {
        source: "code: aider-chat 0.86.2 (PyPI) entry points; aider.chat/docs/install (uv tool, pipx)",
        process: {
          executable: "/home/ada/.local/share/uv/tools/aider-chat/bin/python3.12",
          argv: ["python", "/home/ada/.local/bin/aider"],
        },
      },
    ],
    negative: [
      { source: "made up: any program called aider", process: { executable: "/usr/bin/aider" } },
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
