import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "aider",
  name: "Aider",
  kind: "coding-agent",
  ports: [],
  names: ["aider"],
  runsOn: ["python"],
  binaries: ["/(?:tools|venvs)/aider-chat/"],
  commands: ["/aider-chat/bin/", "-m aider\\b", "python[\\d.]* \\S*/bin/aider(?: |$)"],
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
      {
        source:
          "recorded from aider-chat 0.86.2 in its own environment (aider --browser, which uses Streamlit)",
        answers: {
          "/": {
            headers: { server: "TornadoServer/6.5.4" },
            body: '<!--\n Copyright (c) Streamlit Inc. (2018-2022) Snowflake Inc. (2022-2026)\n\n Licensed under the Apache License, Version 2.0 (the "License");\n you may not use this file except in compliance with the License.\n You may obtain a copy of the License at\n\n     http://www.apache.org/licenses/LICENSE-2.0\n\n Un',
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/aider",
            "--browser",
            "--no-check-update",
            "--analytics-disable",
            "--yes-always",
            "--model",
            "openai/tiny",
            "--openai-api-base",
            "http://127.0.0.1:9/v1",
            "--openai-api-key",
            "x",
          ],
        },
      },
      {
        source: "code: aider-chat 0.86.2 (PyPI) aider/__main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "aider", "--model", "x"],
        },
      },
    ],
    negative: [
      { source: "made up: any program named aider", process: { executable: "/usr/bin/aider" } },
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
