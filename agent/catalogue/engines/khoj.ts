import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "khoj",
  name: "Khoj",
  kind: "ui",
  ports: [42110],
  names: ["khoj"],
  runsOn: ["python"],
  commands: ["(?:^|[/ ])khoj --(?:anonymous-mode|port|host|non-interactive)"],
  traits: [
    { path: "/", body: "<title>Khoj(?: AI)?\\b", weight: "identity", says: "the page is titled Khoj" },
  ],
  sources: ["https://docs.khoj.dev/"],
  fixtures: {
    positive: [
      {
        source: "code: khoj-ai/khoj ae229ca src/interface/web/app/page.tsx, layout.tsx (titles)",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Khoj AI - Ask Anything</title></head><body></body></html>",
          },
        },
      },
      {
        source: "documented: khoj-ai/khoj docs, self-host with pip",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "/home/ada/.local/bin/khoj", "--anonymous-mode"],
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
