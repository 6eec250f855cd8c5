import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "pinokio",
  name: "Pinokio",
  kind: "launcher",
  ports: [42000],
  names: ["pinokio"],
  binaries: ["/Pinokio\\.app/Contents/", "/(?:opt|Programs)/Pinokio/"],
  traits: [],
  sources: ["https://docs.pinokio.computer/"],
  fixtures: {
    positive: [
      {
        source: "documented: pinokio.co, macOS bundle",
        process: { executable: "/Applications/Pinokio.app/Contents/MacOS/Pinokio" },
      },
      { source: "documented: pinokio.co, Linux package", process: { executable: "/opt/Pinokio/pinokio" } },
    ],
    negative: [{ source: "made up: another program", process: { executable: "/usr/bin/pinocchio" } }],
  },
};

export default entry;
