import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "kimi-code",
  name: "Kimi Code",
  kind: "coding-agent",
  ports: [],
  names: ["kimi", "kimi-cli"],
  runsOn: ["python"],
  binaries: ["/tools/kimi-cli/"],
  commands: ["/kimi-cli/bin/", "python[\\d.]* \\S*/bin/kimi(?:-cli)?(?: |$)"],
  traits: [],
  sources: ["https://github.com/MoonshotAI/kimi-cli"],
  fixtures: {
    positive: [
      {
        source:
          "code: kimi-cli 1.52.0 (PyPI) entry points; github.com/MoonshotAI/kimi-cli (uv tool install kimi-cli)",
        process: {
          executable: "/home/ada/.local/share/uv/tools/kimi-cli/bin/python3.13",
          argv: ["python", "/home/ada/.local/bin/kimi"],
        },
      },
      {
        source: "code: kimi-cli 1.52.0 (PyPI) entry_points.txt (kimi, kimi-cli), in a virtual environment",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/kimi"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a Python program with the product's command as an argument",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "lint.py", "/venv/bin/kimi"] },
      },
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
