import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "nextchat",
  name: "NextChat",
  kind: "ui",
  ports: [3000],
  names: ["nextchat"],
  runsOn: ["node"],
  binaries: ["/NextChat\\.app/Contents/", "/NextChat/NextChat(?:\\.exe)?$"],
  traits: [
    {
      path: "/api/config",
      json: {
        needCode: { is: "boolean" },
        hideUserApiKey: { is: "boolean" },
        disableGPT4: { is: "boolean" },
      },
      weight: "strong",
      says: "NextChat's configuration",
    },
    {
      path: "/site.webmanifest",
      json: { name: { matches: "^NextChat$" } },
      weight: "identity",
      says: "the web manifest names NextChat",
    },
  ],
  sources: ["https://github.com/ChatGPTNextWeb/NextChat"],
  fixtures: {
    positive: [
      {
        source:
          "code: ChatGPTNextWeb/NextChat v2.16.1 app/api/config/route.ts (DANGER_CONFIG), public/site.webmanifest",
        answers: {
          "/api/config": {
            body: {
              needCode: true,
              hideUserApiKey: false,
              disableGPT4: false,
              hideBalanceQuery: false,
              disableFastLink: false,
              customModels: "",
              defaultModel: "",
            },
          },
          "/site.webmanifest": { body: { name: "NextChat", short_name: "NextChat" } },
        },
      },
      {
        source: "lead: the desktop application on Windows",
        process: { executable: "C:\\Program Files\\NextChat\\NextChat.exe" },
      },
    ],
    negative: [
      {
        source: "made up: a build tool in a source folder of the product",
        process: { executable: "/home/ada/src/NextChat/node_modules/@esbuild/linux-x64/bin/esbuild" },
      },
      {
        source: "documented: LibreChat api/server/routes/config.js",
        answers: { "/api/config": { body: { appTitle: "LibreChat" } } },
      },
    ],
  },
};

export default entry;
