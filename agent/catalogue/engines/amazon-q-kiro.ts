import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "amazon-q-kiro",
  name: "Amazon Q Developer and Kiro",
  kind: "coding-agent",
  ports: [],
  names: ["kiro", "kiro-cli", "qchat"],
  binaries: ["/(?:share|opt|Programs)/[Kk]iro/", "/(?:Kiro|Amazon Q)\\.app/Contents/"],
  commands: ["(?:^|/)(?:qchat|kiro-cli-chat) chat\\b"],
  traits: [],
  sources: [
    "https://kiro.dev/docs/",
    "https://docs.aws.amazon.com/amazonq/latest/qdeveloper-ug/command-line.html",
  ],
  fixtures: {
    positive: [
      { source: "documented: kiro.dev, Linux package", process: { executable: "/usr/share/kiro/kiro" } },
      {
        source: "documented: docs.aws.amazon.com, Amazon Q for command line",
        process: { executable: "/home/ada/.local/bin/qchat", argv: ["qchat", "chat"] },
      },
    ],
    negative: [
      {
        source: "documented: text-as-data, another program called q",
        process: { executable: "/usr/bin/q", argv: ["q", "select 1"] },
      },
    ],
  },
};

export default entry;
