import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "refact",
  name: "Refact",
  kind: "coding-agent",
  ports: [8008, 8001],
  names: ["refact-lsp"],
  runsOn: ["python"],
  commands: ["-m self_hosting_machinery\\.", "-m refact_webgui\\."],
  traits: [
    { path: "/", body: "<title>Refact(?: |<)", weight: "identity", says: "the page is titled Refact" },
  ],
  sources: ["https://docs.refact.ai/"],
  fixtures: {
    positive: [
      {
        source: "code: smallcloudai/refact server/v1.11.2 refact_webgui/webgui/static/admin.html, index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Refact Server Login</title></head><body></body></html>",
          },
        },
      },
      {
        source: "code: smallcloudai/refact server/v1.11.2 self_hosting_machinery/watchdog",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "self_hosting_machinery.watchdog.docker_watchdog"],
        },
      },
      {
        source: "code: smallcloudai/refact server/v1.11.2 refact_webgui/webgui",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "refact_webgui.webgui.webgui"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a refactoring tool",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Refactoring tips</title></head><body></body></html>",
          },
        },
      },
    ],
  },
};

export default entry;
