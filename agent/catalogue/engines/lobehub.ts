import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "lobehub",
  name: "LobeHub",
  kind: "ui",
  ports: [3210],
  names: ["lobehub", "lobe chat", "lobehub-desktop*"],
  runsOn: ["node"],
  binaries: ["/LobeHub[^/]*\\.app/Contents/", "/LobeHub[^/]*/lobehub[\\w-]*(?:\\.exe)?$"],
  traits: [
    {
      path: "/manifest.webmanifest",
      json: { id: { matches: "^lobe-?(?:hub|chat)$" } },
      weight: "identity",
      says: "the web manifest names LobeHub",
    },
    {
      path: "/manifest.json",
      json: { name: { matches: "^Lobe ?(?:Chat|Hub)$" } },
      weight: "identity",
      says: "the web manifest names LobeChat",
    },
    {
      path: "/",
      body: "<title>[^<]*Lobe(?:Hub|Chat)",
      weight: "identity",
      says: "the page is titled LobeHub",
    },
  ],
  sources: ["https://lobehub.com/docs"],
  fixtures: {
    positive: [
      {
        source:
          "code: lobehub/lobe-chat 0b3dec6 src/app/manifest.ts (id and name from the branding), 159f255 src/app/[variants]/metadata.ts (title, /manifest.json)",
        answers: {
          "/manifest.webmanifest": { body: { id: "lobe-hub", name: "LobeHub", short_name: "LobeHub" } },
          "/manifest.json": { body: { name: "LobeChat" } },
          "/": {
            body: "<!doctype html><html><head><title>LobeChat · Your AI workspace</title></head><body></body></html>",
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: a web manifest of another app",
        answers: { "/manifest.json": { body: { name: "My app" } } },
      },
    ],
  },
};

export default entry;
