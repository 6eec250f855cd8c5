import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "cherry-studio",
  name: "Cherry Studio",
  kind: "ui",
  ports: [23333],
  names: ["cherry-studio", "cherry studio", "cherrystudio", "cherry-studio*"],
  binaries: [
    "/Cherry ?Studio\\.app/Contents/",
    "/Cherry ?Studio/Cherry ?Studio(?:\\.exe)?$",
    "/mount_[Cc]herry[^/]*/",
  ],
  traits: [
    {
      path: "/",
      json: { name: { matches: "^Cherry Studio API$" } },
      weight: "identity",
      says: "its name is Cherry Studio API",
    },
  ],
  openai: true,
  sources: ["https://docs.cherry-ai.com/"],
  fixtures: {
    positive: [
      {
        source: "code: CherryHQ/cherry-studio 168f9bd src/main/apiServer/app.ts (GET /)",
        answers: {
          "/": {
            body: {
              name: "Cherry Studio API",
              version: "1.0.0",
              endpoints: { health: "GET /health", models: "GET /v1/models" },
            },
          },
          "/v1/models": { status: 401, body: { error: "Unauthorized: missing credentials" } },
        },
      },
      {
        source: "documented: Cherry Studio for Windows",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\Programs\\Cherry Studio\\Cherry Studio.exe" },
      },
    ],
    negative: [
      {
        source: "made up: another API",
        answers: { "/": { body: { name: "Orchard API", version: "1.0.0" } } },
      },
    ],
  },
};

export default entry;
