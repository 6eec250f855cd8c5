import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "cursor",
  name: "Cursor",
  kind: "coding-agent",
  ports: [],
  names: ["cursor"],
  binaries: [
    "/(?:share|opt|Programs)/[Cc]ursor/cursor(?:\\.exe)?$",
    "/Cursor\\.app/Contents/",
    "/mount_Cursor[^/]*/",
    "/\\.local/share/cursor-agent/",
  ],
  traits: [],
  sources: ["https://cursor.com/"],
  fixtures: {
    positive: [
      {
        source: "documented: cursor.com, Linux AppImage mounts itself below /tmp",
        process: { executable: "/tmp/.mount_CursorA1b2C3/usr/share/cursor/cursor" },
      },
      {
        source: "documented: cursor.com, macOS bundle",
        process: { executable: "/Applications/Cursor.app/Contents/MacOS/Cursor" },
      },
      {
        source: "documented: cursor.com, Windows",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\Programs\\cursor\\Cursor.exe" },
      },
    ],
    negative: [
      {
        source: "made up: a mouse pointer tool with the same name",
        process: { executable: "/usr/bin/cursor" },
      },
    ],
  },
};

export default entry;
