import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "n8n",
  name: "n8n",
  kind: "agent-builder",
  ports: [5678],
  names: ["n8n"],
  runsOn: ["node"],
  commands: ["/n8n/bin/n8n\\b", "(?:^|/)node(?: -\\S+)* \\S*/\\.?bin/n8n(?: |$)"],
  traits: [{ path: "/", body: "<title>n8n\\.io", weight: "identity", says: "the page is titled n8n" }],
  sources: ["https://docs.n8n.io/"],
  fixtures: {
    positive: [
      {
        source: "code: n8n-editor-ui 2.41.0 (npm) dist/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>n8n.io - Workflow Automation</title></head><body></body></html>",
          },
          "/healthz": { body: { status: "ok" } },
        },
      },
      {
        source: "code: n8n-io/n8n 65fd4e4 packages/cli/bin/n8n",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/local/lib/node_modules/n8n/bin/n8n", "start"],
        },
      },
      {
        source: "code: n8n-io/n8n 65fd4e4 packages/cli/bin/n8n, through the link that npm makes",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/local/bin/n8n"],
        },
      },
    ],
    negative: [
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
