import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "flowise",
  name: "Flowise",
  kind: "agent-builder",
  ports: [3000],
  names: ["flowise"],
  runsOn: ["node"],
  commands: ["[/ ]flowise(?:/bin/run)? start\\b"],
  traits: [{ path: "/", body: "<title>Flowise", weight: "identity", says: "the page is titled Flowise" }],
  version: [{ path: "/api/v1/version", at: "version" }],
  sources: ["https://docs.flowiseai.com/"],
  fixtures: {
    positive: [
      {
        source: "code: flowise-ui 3.1.4 (npm) build/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Flowise - Build AI Agents, Visually</title></head><body></body></html>",
          },
          "/api/v1/version": { body: { version: "3.0.8" } },
          "/api/v1/chatflows": { status: 401, body: { error: "Unauthorized Access" } },
        },
      },
      {
        source: "code: FlowiseAI/Flowise ababf4c packages/server/bin/run",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/usr/lib/node_modules/flowise/bin/run", "start"],
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
