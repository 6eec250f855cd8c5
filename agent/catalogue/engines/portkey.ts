import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "portkey",
  name: "Portkey AI Gateway",
  kind: "gateway",
  ports: [8787],
  names: [],
  runsOn: ["node"],
  commands: ["/@portkey-ai/gateway/"],
  traits: [
    {
      path: "/",
      body: "^AI Gateway says hey!",
      weight: "identity",
      says: "the front page says: AI Gateway says hey",
    },
    {
      path: "/v1/models",
      statuses: [400],
      body: "x-portkey-config or x-portkey-provider header is required",
      weight: "strong",
      says: "Portkey's error for a missing provider",
    },
  ],
  sources: ["https://github.com/Portkey-AI/gateway"],
  fixtures: {
    positive: [
      {
        source: "recorded from @portkey-ai/gateway 1.15.2",
        answers: {
          "/": { headers: { "content-type": "text/plain; charset=UTF-8" }, body: "AI Gateway says hey!" },
          "/v1/models": {
            status: 400,
            body: {
              status: "failure",
              message: "Either x-portkey-config or x-portkey-provider header is required",
            },
          },
        },
      },
      {
        source: "recorded from @portkey-ai/gateway 1.15.2 (node build/start-server.js), its command line",
        process: {
          executable: "/usr/bin/node",
          argv: [
            "node",
            "/srv/node_modules/@portkey-ai/gateway/build/start-server.js",
            "--port=8787",
            "--headless",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: the greeting of another gateway",
        answers: { "/": { body: "Hey from the gateway" } },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
    ],
  },
};

export default entry;
