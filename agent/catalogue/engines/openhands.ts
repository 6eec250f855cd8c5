import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "openhands",
  name: "OpenHands",
  kind: "agent",
  ports: [3000],
  names: ["openhands"],
  runsOn: ["python"],
  commands: [
    "openhands\\.server(?:\\.listen:app)?\\b",
    "(?:^|[/ ])openhands serve\\b",
    "python[\\d.]* \\S*/bin/openhands(?: |$)",
  ],
  traits: [{ path: "/", body: "<title>OpenHands", weight: "identity", says: "the page is titled OpenHands" }],
  sources: ["https://docs.all-hands.dev/"],
  fixtures: {
    positive: [
      {
        source: "code: All-Hands-AI/OpenHands 156d068 frontend/src/root.tsx (title of every page)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>OpenHands</title></head><body></body></html>" },
        },
      },
      {
        source: "documented: All-Hands-AI/OpenHands containers/app",
        process: { executable: "/app/.venv/bin/python3.12", argv: ["python", "-m", "openhands.server"] },
      },
      {
        source: "code: All-Hands-AI/OpenHands 156d068 Makefile (start-backend)",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/uvicorn", "openhands.server.listen:app"],
        },
      },
      {
        source: "recorded from openhands 1.16.0 (PyPI) in a terminal",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/openhands"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an editor that opens a file of the product",
        process: { executable: "/usr/bin/vim", argv: ["vim", "/venv/bin/python", "/venv/bin/openhands"] },
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
