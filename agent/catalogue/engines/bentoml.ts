import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "bentoml",
  name: "BentoML",
  kind: "inference-engine",
  ports: [3000],
  names: ["bentoml", "openllm"],
  runsOn: ["python"],
  commands: ["(?:^|/)(?:bentoml|openllm) (?:serve|start)\\b", "-m (?:_)?bentoml"],
  traits: [
    {
      path: "/",
      body: "<title>BentoML Prediction Service</title>",
      weight: "identity",
      says: "the page is titled BentoML Prediction Service",
    },
    {
      path: "/docs.json",
      body: "contact@bentoml\\.com",
      weight: "identity",
      says: "the API description names BentoML",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)(?:# HELP )?bentoml_(?:service|api_server|runner)_",
      weight: "identity",
      says: "metrics named bentoml",
    },
  ],
  version: [{ path: "/docs.json", at: "info.description", matches: "BentoML-(\\d[\\w.]*)-" }],
  openai: true,
  directories: [{ path: "~/.openllm", layout: "files" }],
  sources: ["https://docs.bentoml.com/"],
  fixtures: {
    positive: [
      {
        source: "recorded from BentoML 1.4.39 (bentoml serve)",
        answers: {
          "/": {
            body: '<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>BentoML Prediction Service</title>',
          },
          "/docs.json": {
            body: {
              openapi: "3.0.2",
              info: {
                title: "Echo",
                version: "None",
                description:
                  "# Echo:dev\n\n[![pypi_status](https://img.shields.io/badge/BentoML-1.4.39-informational)]",
                contact: { name: "BentoML Team", email: "contact@bentoml.com" },
              },
            },
          },
          "/metrics": {
            body: "# HELP bentoml_service_request_duration_seconds runner RPC duration in seconds\n",
          },
        },
      },
      {
        source: "documented: bentoml/BentoML service/openapi and metrics",
        answers: {
          "/docs.json": {
            body: {
              openapi: "3.0.2",
              info: {
                title: "summarization",
                contact: { name: "BentoML Team", email: "contact@bentoml.com" },
              },
            },
          },
          "/metrics": { body: "# HELP bentoml_service_request_in_progress n\n" },
        },
      },
      {
        source: "code: bentoml 1.4.40 (PyPI) entry_points.txt, bentoml_cli/cli.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/bentoml", "serve", "service:svc"],
        },
      },
    ],
    negative: [
      {
        source: "recorded from FastAPI: its default description",
        answers: {
          "/openapi.json": {
            body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
          },
        },
      },
    ],
  },
};

export default entry;
