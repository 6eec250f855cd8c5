import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "hermes",
  name: "Hermes Agent",
  kind: "agent",
  ports: [],
  names: ["hermes", "hermes-agent"],
  runsOn: ["python"],
  binaries: ["/\\.hermes/hermes-agent/"],
  commands: ["/hermes-agent/"],
  traits: [
    {
      path: "/",
      headers: { server: "^HermesWebUI" },
      weight: "identity",
      says: "the Server header is HermesWebUI",
    },
  ],
  sources: ["https://github.com/NousResearch/hermes-agent"],
  fixtures: {
    positive: [
      {
        source: "documented: Tencent/AI-Infra-Guard fingerprint for Hermes",
        answers: {
          "/": { headers: { server: "HermesWebUI/0.1" }, body: "<!doctype html><title>Hermes</title>" },
        },
      },
      {
        source: "documented: NousResearch/hermes-agent README",
        process: {
          executable: "/home/ada/.hermes/hermes-agent/venv/bin/python3",
          argv: ["python3", "/home/ada/.local/bin/hermes"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a parcel service",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Hermes</title></head><body></body></html>" },
        },
      },
    ],
  },
};

export default entry;
