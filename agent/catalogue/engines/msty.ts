import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "msty",
  name: "Msty",
  kind: "inference-app",
  ports: [10000, 11964],
  names: ["msty", "mstystudio", "msty-local"],
  binaries: [
    "/Msty(?:Studio| Studio)?\\.app/Contents/",
    "/(?:Programs/)?Msty(?:Studio)?/Msty(?:Studio)?(?:\\.exe)?$",
    "/\\.?mount_Msty[^/]*/",
    "/Msty/msty-local",
  ],
  traits: [],
  absorbs: ["ollama", "llama-cpp", "unknown-weights", "openai-compatible"],
  directories: [
    { path: "~/Library/Application Support/Msty/models", layout: "ollama" },
    { path: "~/AppData/Roaming/Msty/models", layout: "ollama" },
    { path: "~/Library/Application Support/MstyStudio/models", layout: "files" },
    { path: "~/Library/Application Support/MstyStudio/models-mlx", layout: "files" },
    { path: "~/.config/Msty/models", layout: "ollama" },
  ],
  sources: ["https://docs.msty.app/", "https://formulae.brew.sh/cask/mstystudio"],
  fixtures: {
    positive: [
      {
        source: "documented: docs.msty.app, Linux AppImage and macOS bundle",
        process: { executable: "/Applications/Msty.app/Contents/MacOS/Msty" },
      },
      {
        source: "documented: docs.msty.app, Windows installer",
        process: { executable: "C:\\Users\\ada\\AppData\\Local\\Programs\\Msty\\Msty.exe" },
      },
    ],
    negative: [{ source: "made up: another program", process: { executable: "/opt/misty/misty" } }],
  },
};

export default entry;
