import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "windsurf",
  name: "Windsurf",
  kind: "coding-agent",
  ports: [],
  names: ["windsurf", "codeium_language_server", "language_server_linux_x64"],
  binaries: ["/(?:share|opt|Programs)/[Ww]indsurf/", "/Windsurf\\.app/Contents/", "/\\.codeium/"],
  traits: [],
  sources: ["https://docs.windsurf.com/"],
  fixtures: {
    positive: [
      {
        source: "documented: windsurf.com, Linux package",
        process: { executable: "/usr/share/windsurf/windsurf" },
      },
      {
        source: "documented: Codeium extension language server",
        process: { executable: "/home/ada/.codeium/windsurf/bin/language_server_linux_x64" },
      },
    ],
    negative: [
      { source: "made up: a surf forecast program", process: { executable: "/usr/bin/windsurfing" } },
    ],
  },
};

export default entry;
