import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "foundry-local",
  name: "Foundry Local",
  kind: "inference-engine",
  ports: [5272, 5273],
  names: ["foundry", "inference.service.agent"],
  binaries: ["/Inference\\.Service\\.Agent(?:\\.exe)?$"],
  traits: [
    {
      path: "/openai/status",
      json: { modelDirPath: { is: "string" }, endpoints: { is: "array" } },
      weight: "strong",
      says: "Foundry Local's status document",
    },
  ],
  models: [
    { path: "/openai/loadedmodels", each: "[]", name: "", loaded: true },
    { path: "/v1/models", each: "data[]", name: "id", loaded: false },
  ],
  openai: true,
  directories: [
    { path: "~/.foundry/cache/models", layout: "files" },
    { path: "~/.aitk/models", layout: "files" },
  ],
  sources: ["https://learn.microsoft.com/azure/ai-foundry/foundry-local/reference/reference-rest"],
  fixtures: {
    positive: [
      {
        source:
          "code: microsoft/Foundry-Local v0.5.117 docs/reference/reference-rest.md (GET /openai/status), sdk/cs/src/FoundryLocalManager.cs",
        answers: {
          "/openai/status": {
            body: {
              endpoints: ["http://localhost:5272"],
              modelDirPath: "/home/ada/.foundry/cache/models",
              pipeName: "inference_agent",
            },
          },
        },
      },
      {
        source: "documented: AI Toolkit for VS Code installs the same service",
        process: {
          executable:
            "/home/ada/.vscode/extensions/ms-windows-ai-studio.windows-ai-studio-0.6.0/bin/Inference.Service.Agent",
        },
      },
    ],
    negative: [
      {
        source: "made up: a status response of another service",
        answers: { "/openai/status": { body: { status: "ok" } } },
      },
    ],
  },
};

export default entry;
