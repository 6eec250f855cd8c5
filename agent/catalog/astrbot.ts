import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "astrbot",
  name: "AstrBot",
  kind: "agent",
  ports: [6185],
  names: ["astrbot"],
  runsOn: ["python"],
  commands: ["/AstrBot[^/ ]*/main\\.py"],
  traits: [{ path: "/", body: "<title>AstrBot", weight: "identity", says: "the page is titled AstrBot" }],
  sources: ["https://astrbot.app/"],
  fixtures: {
    positive: [
      {
        source: "code: AstrBot 4.29.3 (PyPI) dashboard/dist/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>AstrBot Dashboard</title></head><body></body></html>",
          },
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
