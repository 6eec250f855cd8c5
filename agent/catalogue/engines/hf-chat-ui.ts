import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "hf-chat-ui",
  name: "Hugging Face Chat UI",
  kind: "ui",
  ports: [3000, 5173],
  names: [],
  runsOn: ["node"],
  traits: [
    {
      path: "/api/v2/public-config",
      json: { "json.PUBLIC_APP_NAME": { is: "string" }, "json.PUBLIC_APP_ASSETS": { is: "string" } },
      weight: "strong",
      says: "its public configuration",
    },
    {
      path: "/api/v2/public-config",
      json: { PUBLIC_APP_NAME: { is: "string" }, PUBLIC_APP_ASSETS: { is: "string" } },
      weight: "strong",
      says: "its public configuration",
    },
  ],
  sources: ["https://github.com/huggingface/chat-ui"],
  fixtures: {
    positive: [
      {
        source:
          "code: huggingface/chat-ui c100c16 src/routes/api/v2/public-config/+server.ts (superjson), .env",
        answers: {
          "/api/v2/public-config": {
            body: {
              json: { PUBLIC_APP_NAME: "HuggingChat", PUBLIC_APP_ASSETS: "huggingchat", PUBLIC_ORIGIN: "" },
            },
          },
        },
      },
      {
        source:
          "code: huggingface/chat-ui e91cac7 src/lib/server/api/routes/groups/misc.ts (GET /public-config), .env",
        answers: {
          "/api/v2/public-config": { body: { PUBLIC_APP_NAME: "ChatUI", PUBLIC_APP_ASSETS: "chatui" } },
        },
      },
    ],
    negative: [
      {
        source: "made up: a public configuration response of another service",
        answers: { "/api/v2/public-config": { body: { theme: "dark" } } },
      },
    ],
  },
};

export default entry;
