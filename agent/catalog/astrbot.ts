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
        source: "documented: AstrBotDevs/AstrBot dashboard/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>AstrBot - 仪表盘</title></head><body></body></html>",
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
