import type { CatalogEntry } from "../entry.ts";

/**
 * A Jupyter server returns 404 for the paths of an extension if the extension is not installed. Other
 * responses show that it is installed.
 */
const entry: CatalogEntry = {
  id: "jupyter-ai",
  name: "Jupyter AI",
  kind: "notebook",
  ports: [8888],
  names: [],
  runsOn: ["python"],
  traits: [
    {
      path: "/api/ai/personas/cancel",
      statuses: [405],
      headers: { server: "^TornadoServer" },
      body: "<title>Jupyter Server</title>",
      weight: "strong",
      says: "a Jupyter server with the personas of Jupyter AI 3",
    },
    {
      path: "/api/ai/providers",
      statuses: [403],
      headers: { server: "^TornadoServer" },
      json: { message: { matches: "^Forbidden$" } },
      weight: "strong",
      says: "a Jupyter server that protects the model providers of Jupyter AI 2 with a token",
    },
    {
      path: "/api/ai/providers",
      headers: { server: "^TornadoServer" },
      json: { "providers[].id": { is: "string" }, "providers[].models": { is: "array" } },
      weight: "strong",
      says: "the model providers of Jupyter AI 2",
    },
  ],
  sources: ["https://jupyter-ai.readthedocs.io/"],
  fixtures: {
    positive: [
      {
        source: "recorded from jupyter-ai 3.2.0 in JupyterLab (jupyter lab) with a token",
        answers: {
          "/": { status: 302, headers: { server: "TornadoServer/6.6.1", location: "/lab?" } },
          "/api": { headers: { server: "TornadoServer/6.6.1" }, body: { version: "2.21.1" } },
          "/api/status": { status: 403, body: { message: "Forbidden", reason: null } },
          "/api/ai/personas/cancel": {
            status: 405,
            headers: { server: "TornadoServer/6.6.1", "content-type": "text/html" },
            body: '<!DOCTYPE HTML>\n<html>\n\n<head>\n\n    <meta charset="utf-8">\n\n    <title>Jupyter Server</title>\n',
          },
          "/api/ai/providers": {
            status: 404,
            headers: { server: "TornadoServer/6.6.1", "content-type": "text/html" },
            body: "<!DOCTYPE HTML>\n<html>\n\n<head>\n\n    <title>Jupyter Server</title>\n",
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/jupyter-lab", "--no-browser", "--ip=127.0.0.1"],
        },
      },
      {
        source: "recorded from jupyter-ai 2.31.7 in JupyterLab 4.3 with a token",
        answers: {
          "/": { status: 302, headers: { server: "TornadoServer/6.6.1", location: "/lab?" } },
          "/api/ai/providers": {
            status: 403,
            headers: { server: "TornadoServer/6.6.1", "content-type": "application/json" },
            body: { message: "Forbidden", reason: null },
          },
          "/api/ai/personas/cancel": { status: 404, headers: { server: "TornadoServer/6.6.1" } },
        },
      },
      {
        source: "recorded from jupyter-ai 2.31.7 in JupyterLab 4.3 without a token",
        answers: {
          "/api/ai/providers": {
            headers: { server: "TornadoServer/6.6.1" },
            body: {
              providers: [
                {
                  id: "ai21",
                  name: "AI21",
                  model_id_label: null,
                  models: ["j1-large"],
                  auth_strategy: { type: "env", name: "AI21_API_KEY", keyword_param: null },
                },
              ],
            },
          },
        },
      },
    ],
    negative: [
      {
        source: "recorded from JupyterLab (PyPI) without it",
        answers: {
          "/": { status: 302, headers: { server: "TornadoServer/6.6.1", location: "/lab?" } },
          "/api/status": { status: 403, body: { message: "Forbidden", reason: null } },
          "/api/ai/personas/cancel": {
            status: 404,
            headers: { server: "TornadoServer/6.6.1" },
            body: "<!DOCTYPE HTML>\n<html>\n\n<head>\n\n    <title>Jupyter Server</title>\n",
          },
        },
      },
      {
        source: "made up: a Tornado service that rejects requests for every path",
        answers: {
          "/api/ai/providers": {
            status: 403,
            headers: { server: "TornadoServer/6.6.1" },
            body: "403: Forbidden",
          },
          "/api/ai/personas/cancel": {
            status: 403,
            headers: { server: "TornadoServer/6.6.1" },
            body: "403: Forbidden",
          },
        },
      },
      {
        source: "made up: another API that lists providers",
        answers: { "/api/ai/providers": { body: { providers: [{ id: "acme", models: [] }] } } },
      },
    ],
  },
};

export default entry;
