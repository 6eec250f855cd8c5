import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "claude-desktop",
  name: "Claude Desktop",
  kind: "ai-app",
  ports: [],
  names: ["claude"],
  binaries: ["/Claude\\.app/Contents/", "/AnthropicClaude/", "/WindowsApps/Claude_"],
  traits: [],
  sources: ["https://claude.ai/download"],
  fixtures: {
    positive: [
      {
        source: "documented: claude.ai/download, macOS bundle",
        process: { executable: "/Applications/Claude.app/Contents/MacOS/Claude" },
      },
      {
        source: "documented: claude.ai/download, Windows",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\AnthropicClaude\\app-1.0.211\\claude.exe" },
      },
    ],
    negative: [{ source: "made up: any program named claude", process: { executable: "/usr/bin/claude" } }],
  },
};

export default entry;
