import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "fastflowlm",
  name: "FastFlowLM",
  kind: "inference-engine",
  ports: [52625],
  names: ["flm"],
  binaries: ["/flm/flm\\.exe$"],
  commands: ["(?:^|/)flm(?:\\.exe)? serve\\b"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  sources: ["https://fastflowlm.com/docs/"],
  fixtures: {
    positive: [
      {
        source: "documented: fastflowlm.com/docs",
        process: { executable: "C:\\Program Files\\flm\\flm.exe", argv: ["flm", "serve", "llama3.2:1b"] },
      },
    ],
    negative: [
      {
        source: "made up: another program with the same name",
        process: { executable: "/usr/bin/flm", argv: ["flm"] },
      },
    ],
  },
};

export default entry;
