import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "chatgpt-desktop",
  name: "ChatGPT desktop",
  kind: "ai-app",
  ports: [],
  names: ["chatgpt"],
  binaries: ["/ChatGPT\\.app/Contents/", "/WindowsApps/OpenAI\\.ChatGPT-Desktop_"],
  traits: [],
  sources: ["https://openai.com/chatgpt/desktop/"],
  fixtures: {
    positive: [
      {
        source: "documented: openai.com/chatgpt/desktop, macOS bundle",
        process: { executable: "/Applications/ChatGPT.app/Contents/MacOS/ChatGPT" },
      },
      {
        source: "documented: the same, Microsoft Store package",
        process: {
          executable:
            "C:\\Program Files\\WindowsApps\\OpenAI.ChatGPT-Desktop_1.2025.1.0_x64__2p2nqsd0c76g0\\app\\ChatGPT.exe",
        },
      },
    ],
    negative: [{ source: "made up: any program named chatgpt", process: { executable: "/usr/bin/chatgpt" } }],
  },
};

export default entry;
