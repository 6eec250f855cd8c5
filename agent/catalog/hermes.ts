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
      body: "<title>Hermes Agent - Dashboard",
      weight: "identity",
      says: "the page is titled Hermes Agent",
    },
    {
      path: "/v1/models",
      json: { "data[].owned_by": { matches: "^hermes$" } },
      weight: "identity",
      says: "its models are owned by hermes",
    },
    {
      path: "/",
      headers: { server: "^HermesWebUI" },
      weight: "identity",
      says: "the Server header is HermesWebUI",
    },
  ],
  openai: true,
  sources: ["https://github.com/NousResearch/hermes-agent"],
  fixtures: {
    positive: [
      {
        source: "lead: Tencent/AI-Infra-Guard fingerprint for Hermes",
        answers: {
          "/": { headers: { server: "HermesWebUI/0.1" }, body: "<!doctype html><title>Hermes</title>" },
        },
      },
      {
        source:
          "code: hermes-agent 0.19.0 (PyPI) hermes_cli/web_dist/index.html, gateway/platforms/api_server.py",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Hermes Agent - Dashboard</title></head>" },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "hermes-agent", object: "model", created: 1763762400, owned_by: "hermes" }],
            },
          },
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
