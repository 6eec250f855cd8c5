import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "backyard-ai",
  name: "Backyard AI",
  kind: "inference-app",
  ports: [],
  names: ["backyard ai", "faraday"],
  binaries: ["/(?:Backyard AI|Faraday)\\.app/Contents/", "/Local/(?:faraday|Backyard AI)/"],
  traits: [],
  directories: [{ path: "~/Library/Application Support/faraday/models", layout: "files" }],
  sources: ["https://backyard.ai/"],
  fixtures: {
    positive: [
      {
        source: "documented: backyard.ai desktop installer",
        process: { executable: "/Applications/Backyard AI.app/Contents/MacOS/Backyard AI" },
      },
      {
        source: "documented: earlier name Faraday",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\faraday\\faraday.exe" },
      },
    ],
    negative: [
      { source: "made up: a physics tool with the same name", process: { executable: "/usr/bin/faraday" } },
    ],
  },
};

export default entry;
