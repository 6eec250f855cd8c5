import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "litert-lm",
  name: "LiteRT-LM",
  kind: "inference-engine",
  ports: [9379],
  names: ["litert-lm", "litert_lm_main"],
  runsOn: ["python"],
  commands: ["(?:^|/)litert-lm (?:serve|run)\\b"],
  libraries: ["/liblitert_lm|/libLiteRtLm"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/.litert-lm", layout: "files" }],
  sources: ["https://ai.google.dev/edge/litert-lm/cli/openai_server"],
  fixtures: {
    positive: [
      {
        source: "documented: ai.google.dev/edge/litert-lm/cli/openai_server",
        process: {
          executable: "/home/ada/.local/bin/litert-lm",
          argv: ["litert-lm", "serve", "--port", "9379"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another program with the word in its path",
        process: { executable: "/opt/litert/converter", argv: ["converter"] },
      },
    ],
  },
};

export default entry;
