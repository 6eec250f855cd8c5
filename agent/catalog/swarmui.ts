import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "swarmui",
  name: "SwarmUI",
  kind: "image",
  ports: [7801],
  names: ["swarmui"],
  runsOn: ["dotnet"],
  commands: ["SwarmUI\\.dll"],
  traits: [
    { path: "/", body: "<title>[^<]*SwarmUI", weight: "identity", says: "the page is titled SwarmUI" },
  ],
  absorbs: ["comfyui"],
  sources: ["https://github.com/mcmonkeyprojects/SwarmUI"],
  fixtures: {
    positive: [
      {
        source: "documented: mcmonkeyprojects/SwarmUI src/Pages/Text2Image.cshtml",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Generate - SwarmUI</title></head><body></body></html>",
          },
        },
      },
    ],
    negative: [
      {
        source: "documented: ComfyUI page",
        answers: {
          "/": { body: "<!doctype html><html><head><title>ComfyUI</title></head><body></body></html>" },
        },
      },
    ],
  },
};

export default entry;
