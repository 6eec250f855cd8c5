import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "chatrtx",
  name: "NVIDIA ChatRTX",
  kind: "inference-app",
  ports: [],
  names: ["chatrtx"],
  runsOn: ["python"],
  binaries: ["/NVIDIA/Chat(?:With)?RTX/"],
  traits: [],
  sources: ["https://www.nvidia.com/en-us/ai-on-rtx/chatrtx/"],
  fixtures: {
    positive: [
      {
        source: "documented: NVIDIA ChatRTX installs below AppData/Local/NVIDIA/ChatRTX",
        process: {
          executable: "C:\\Users\\ada\\AppData\\Local\\NVIDIA\\ChatRTX\\env_nvd_rag\\python.exe",
          argv: ["python.exe", "app.py"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another NVIDIA program",
        process: { executable: "C:\\Program Files\\NVIDIA Corporation\\NVIDIA App\\NVIDIA App.exe" },
      },
    ],
  },
};

export default entry;
