import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "goose",
  name: "Goose",
  kind: "coding-agent",
  ports: [],
  names: ["goose", "goosed"],
  binaries: ["/Goose\\.app/Contents/", "/(?:opt|lib)/[Gg]oose/resources/bin/goosed$"],
  commands: ["(?:^|/)goose(?:\\.exe)? (?:session|web|run --)\\b"],
  traits: [],
  sources: ["https://block.github.io/goose/"],
  fixtures: {
    positive: [
      {
        source: "documented: block.github.io/goose, desktop app",
        process: {
          executable: "/Applications/Goose.app/Contents/Resources/bin/goosed",
          argv: ["goosed", "agent"],
        },
      },
      {
        source: "documented: block.github.io/goose, command line",
        process: { executable: "/home/ada/.local/bin/goose", argv: ["goose", "session"] },
      },
    ],
    negative: [
      {
        source: "documented: pressly/goose migrates databases",
        process: { executable: "/usr/local/bin/goose", argv: ["goose", "up"] },
      },
    ],
  },
};

export default entry;
