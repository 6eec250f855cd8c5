import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mlflow",
  name: "MLflow",
  kind: "gateway",
  ports: [5000, 7000],
  names: ["mlflow"],
  runsOn: ["python"],
  commands: [
    "(?:^|/)mlflow (?:server|ui|gateway start|deployments start-server|models serve)\\b",
    "\\bmlflow\\.(?:server(?:\\.fastapi_app)?:app\\b|server\\.auth:create_app|gateway\\.app:create_app_from_env|pyfunc\\.scoring_server\\.app:app)",
  ],
  traits: [
    {
      path: "/",
      body: '<title>MLflow</title>[^]*class="mlflow-ui-container"',
      weight: "identity",
      says: "the page is that of MLflow",
    },
    {
      path: "/",
      statuses: [401],
      body: "mlflow\\.org/docs/[^ ]*#authenticating-to-mlflow",
      weight: "identity",
      says: "it asks for authentication to MLflow",
    },
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^MLflow AI Gateway$" } },
      weight: "identity",
      says: "the API description is titled MLflow AI Gateway",
    },
  ],
  version: [
    { path: "/version", at: "body", matches: "^(\\d[\\w.]*)$" },
    { path: "/openapi.json", at: "info.version" },
  ],
  absorbs: ["unknown-weights"],
  sources: ["https://mlflow.org/docs/latest/"],
  fixtures: {
    positive: [
      {
        source: "recorded from MLflow 3.17.2 (mlflow server)",
        answers: {
          "/": {
            headers: { server: "uvicorn", "content-type": "text/html; charset=utf-8" },
            body: '<!doctype html><html lang="en"><head><meta charset="utf-8"/><link rel="manifest" href="./static-files/manifest.json" crossorigin="use-credentials"/><title>MLflow</title><script defer="defer" src="static-files/static/js/main.c2f5f8d4.js"></script></head><body><div id="root" class="mlflow-ui-container"></div></body></html>',
          },
          "/version": { headers: { server: "uvicorn" }, body: "3.17.2" },
          "/health": { headers: { server: "uvicorn" }, body: "OK" },
          "/ajax-api/2.0/mlflow/gateway-proxy": {
            headers: { server: "uvicorn" },
            body: '{"endpoints":[]}\n',
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/mlflow", "server", "--host", "127.0.0.1", "--port", "36526"],
        },
      },
      {
        source: "code: mlflow 3.18.0 (PyPI) server/auth/__init__.py (make_basic_auth_response)",
        answers: {
          "/": {
            status: 401,
            headers: { "www-authenticate": 'Basic realm="mlflow"' },
            body: "You are not authenticated. Please see https://www.mlflow.org/docs/latest/auth/index.html#authenticating-to-mlflow on how to authenticate.",
          },
        },
      },
      {
        source: "recorded from MLflow 3.17.2 (mlflow gateway start): a worker of gunicorn",
        answers: {
          "/": { status: 307, headers: { server: "uvicorn", location: "/docs" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: {
              openapi: "3.1.0",
              info: {
                title: "MLflow AI Gateway",
                description:
                  "The core deployments API for reverse proxy interface using remote inference endpoints within MLflow",
                version: "3.17.2",
              },
              paths: { "/endpoints/chat/invocations": {} },
            },
          },
          "/health": { headers: { server: "uvicorn" }, body: { status: "OK" } },
          "/v1/models": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
        },
        process: {
          executable: "/usr/bin/python3.11",
          argv: [
            "/venv/bin/python3",
            "-m",
            "gunicorn",
            "--bind",
            "127.0.0.1:34110",
            "--workers",
            "1",
            "--worker-class",
            "uvicorn.workers.UvicornWorker",
            "mlflow.gateway.app:create_app_from_env()",
          ],
        },
      },
      {
        source: "code: mlflow 3.18.0 (PyPI) server/__init__.py (_run_server): a worker of the server",
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "-m",
            "uvicorn",
            "--host",
            "127.0.0.1",
            "--port",
            "5000",
            "--workers",
            "4",
            "mlflow.server.fastapi_app:app",
          ],
        },
      },
      {
        source: "code: mlflow 3.18.0 (PyPI) pyfunc/scoring_server/__init__.py: a model that is served",
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/uvicorn",
            "--port",
            "5001",
            "mlflow.pyfunc.scoring_server.app:app",
          ],
        },
      },
    ],
    negative: [
      {
        source: "made up: a page about the product",
        answers: {
          "/": { body: "<!doctype html><html><head><title>MLflow</title></head><body>Notes</body></html>" },
        },
      },
      {
        source: "made up: a service with health and version paths",
        answers: { "/version": { body: "3.17.2" }, "/health": { body: "OK" } },
      },
      {
        source: "made up: a script that sends logs to the server",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "train.py", "--mlflow", "server"] },
      },
    ],
  },
};

export default entry;
