import type { Fixture } from "../../../../agent/catalogue/entry.ts";
import { everywhere, html } from "./catalog-ordinary-answers.ts";
import { SERVICES } from "./catalog-ordinary-services.ts";

/*
 * Test fixtures: servers without AI that respond on paths of AI products. The agent must report none of these
 * servers.
 */

const notFound = { status: 404, body: { detail: "Not Found" } };

export const ORDINARY: readonly (Fixture & { name: string })[] = [
  {
    name: "nginx",
    source: "recorded from nginx 1.22.1 (Debian)",
    answers: { "/": { headers: { server: "nginx/1.22.1" }, body: html("Welcome to nginx!") } },
  },
  {
    name: "Prometheus",
    source: "recorded from Prometheus 2.42.0 (Debian)",
    answers: {
      "/": {
        status: 302,
        headers: { location: "/classic/graph" },
        body: '<a href="/classic/graph">Found</a>.',
      },
      "/version": { body: { version: "2.42.0+ds", revision: "2.42.0+ds-5", goVersion: "go1.19.8" } },
      "/metrics": { body: "# HELP go_gc_duration_seconds x\n# HELP prometheus_build_info x\n" },
    },
  },
  {
    name: "Docker Registry",
    source: "recorded from docker-registry 2.8.2 (Debian)",
    answers: { "/": {}, "/v2": { status: 301, headers: { location: "/v2/" } }, "/v2/": { body: {} } },
  },
  {
    name: "JSON stub with an empty list",
    source:
      "made up: a mock server that answers everything alike, in the form of Stripe's and OpenAI's lists",
    answers: everywhere({ body: { object: "list", data: [], has_more: false } }),
  },
  {
    name: "JSON stub with a list of models",
    source: "made up: a mock server that answers everything alike, with the list of a car dealer",
    answers: everywhere({ body: { object: "list", data: [{ id: "roadster", object: "model" }] } }),
  },
  {
    name: "fashion shop",
    source: "made up: its models are clothes",
    answers: {
      "/": { headers: { "x-powered-by": "Express" }, body: html("Fashion shop") },
      "/health": { body: { status: "ok" } },
      "/api/version": { body: { version: "1.4.2" } },
      "/v1/models": {
        body: {
          object: "list",
          data: [
            { id: "t-shirt-slim", object: "model", name: "Slim T-Shirt", price: 1999 },
            { id: "jeans-501", object: "model", name: "Jeans", price: 8999 },
          ],
        },
      },
    },
  },
  {
    name: "API with an empty list of its own",
    source: "documented: docs.stripe.com/api/pagination, the list object",
    answers: { "/v1/models": { body: { object: "list", data: [], has_more: false, url: "/v1/models" } } },
  },
  {
    name: "API that refuses every path",
    source: "documented: docs.stripe.com/api/errors, without a key",
    answers: everywhere({
      status: 401,
      headers: { "request-id": "req_1" },
      body: {
        error: {
          message:
            "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth.",
          type: "invalid_request_error",
        },
      },
    }),
  },
  {
    name: "Vite development server",
    source: "recorded from vite (npm): every path is the page",
    answers: everywhere({ body: `<script type="module" src="/@vite/client"></script>${html("Vite App")}` }),
  },
  {
    name: "Streamlit app",
    source: "recorded from streamlit (PyPI): every path is the page",
    answers: everywhere({ headers: { server: "uvicorn" }, body: html("Streamlit") }),
  },
  {
    name: "marimo notebook",
    source: "recorded from marimo 0.25.2",
    answers: {
      "/": { headers: { server: "uvicorn" }, body: html("marimo") },
      "/health": { body: { status: "healthy" } },
      "/api/version": { body: "0.25.2" },
      "/api/status": { body: { status: "healthy", filenames: [], mode: "edit", version: "0.25.2" } },
      "/manifest.json": { body: { short_name: "Marimo", name: "A Marimo App" } },
      "/sse": {
        headers: { "content-type": "text/event-stream; charset=utf-8" },
        body: 'event: close\ndata: {"code": 1000, "reason": "MARIMO_NO_SESSION_ID"}\n\n',
      },
    },
  },
  {
    name: "Jupyter",
    source: "recorded from JupyterLab (PyPI) with a token",
    answers: {
      "/": { status: 302, headers: { server: "TornadoServer/6.6.1", location: "/lab?" } },
      "/api": { body: { version: "2.17.0" } },
      "/api/status": { status: 403, body: { message: "Forbidden", reason: null } },
      "/metrics": { status: 403, body: html("Jupyter Server") },
    },
  },
  {
    name: "API of a car dealer",
    source: "recorded from FastAPI with routes of its own",
    answers: {
      "/": notFound,
      "/v1/models": { body: { models: [{ make: "Volvo", model: "V60", year: 2024 }], count: 1 } },
      "/api/tags": { body: { tags: [{ name: "travel", posts: 3 }] } },
      "/health": { body: { status: "ok" } },
      "/openapi.json": {
        body: { openapi: "3.1.0", info: { title: "FastAPI", version: "0.1.0" }, paths: {} },
      },
      "/docs": { body: html("FastAPI - Swagger UI") },
    },
  },
  {
    name: "Express app whose list looks like OpenAI's",
    source: "recorded from Express with routes of its own",
    answers: {
      "/": { status: 404, headers: { "x-powered-by": "Express" }, body: "Cannot GET /" },
      "/v1/models": { body: { object: "list", data: [{ id: 7, make: "Volvo" }] } },
      "/api/tags": { body: { models: [], tags: ["travel"] } },
      "/api/version": { body: { major: "1", minor: "31", gitVersion: "v1.31.0" } },
      "/info": { body: { version: "1.2.3" } },
      "/health": { body: { status: "ok" } },
    },
  },
  {
    name: "json-server over a shop's data",
    source: "recorded from json-server 0.17.4 (npm)",
    answers: {
      "/": {
        headers: { "x-powered-by": "Express" },
        body: '<html>\n  <head>\n    <link\n      rel="stylesheet"\n      href="https://use.fontawesome.com/releases/v5.8.2/css/all.css"\n      integrity="sha384-oS3vJWv+0UjzBfQzYUhtDYW+Pj2yciDJxpsK1OYPAYjqT085Qq/1cq5FLX',
      },
      "/models": { body: [{ id: 1, modelName: "V60", modelUrl: "/v60", object: "model" }] },
      "/status": { body: { uptime: 5, workers: {} } },
      "/info": { body: { version: "1.2.3", model_id: "x" } },
      "/version": { body: { version: "1.0.0" } },
      "/v2": { body: { name: "shop", version: "1" } },
      "/voices": { body: [{ id: "alto" }] },
      "/state": { body: { a: 1 } },
      "/props": { body: { total_slots: 2 } },
      "/running": { body: [{ model: "5k" }] },
      "/system": { body: { backends: ["db"] } },
      "/health": { body: { status: "ok" } },
    },
  },
  {
    name: "API of a car dealer that answers on the paths of five engines",
    source: "recorded from FastAPI with routes of its own",
    answers: {
      "/": { headers: { server: "uvicorn" }, body: { message: "Cars API", version: "1.0" } },
      "/v1/models": { body: { object: "list", data: [{ id: "V60", object: "car", owned_by: "volvo" }] } },
      "/api/tags": { body: { models: [{ name: "V60", model: "V60", details: { family: "estate" } }] } },
      "/v2": { body: { name: "cars", version: "2", extensions: ["hybrid"] } },
      "/status": { body: { uptime: 3.5, workers: { ann: { shift: "day" } } } },
      "/models": { body: { models: [{ modelName: "V60" }] } },
      "/mcp": { status: 400, body: { jsonrpc: "2.0", error: { code: -32700, message: "no" } } },
      "/metrics": { body: "# HELP nv_shop_total x\nrequests_total 1\n" },
    },
  },
  {
    name: "mock server of a shop's API",
    source: "recorded from @stoplight/prism-cli 5.16.0 (npm)",
    answers: {
      "/": {
        status: 404,
        body: {
          type: "https://stoplight.io/prism/errors#NO_PATH_MATCHED_ERROR",
          title: "Route not resolved, no path matched",
          status: 404,
          detail: "The route / hasn't been found in the specification file",
        },
      },
      "/v1/models": { body: { object: "list", data: [{ id: "a", name: "Widget" }] } },
    },
  },
  {
    name: "TensorBoard",
    source: "recorded from TensorBoard 2.21.0",
    answers: { "/": { headers: { server: "Werkzeug/3.1.9 Python/3.12.1" }, body: html("TensorBoard") } },
  },
  {
    name: "Kubernetes API server",
    source: "documented: kubernetes.io/docs/reference/using-api/health-checks, GET /version",
    answers: {
      "/": { status: 403, body: { kind: "Status", apiVersion: "v1", status: "Failure", code: 403 } },
      "/version": { body: { major: "1", minor: "31", gitVersion: "v1.31.0", goVersion: "go1.22.5" } },
      "/openapi.json": { status: 403, body: { kind: "Status", status: "Failure", code: 403 } },
      "/v1/models": { status: 403, body: { kind: "Status", status: "Failure", code: 403 } },
    },
  },
  {
    name: "Elasticsearch",
    source: "documented: elastic.co/docs, GET /",
    answers: {
      "/": {
        headers: { "x-elastic-product": "Elasticsearch" },
        body: { name: "node-1", version: { number: "8.15.0" }, tagline: "You Know, for Search" },
      },
    },
  },
  {
    name: "MinIO",
    source: "documented: min.io/docs, refusal of the S3 API",
    answers: everywhere({
      status: 403,
      headers: { server: "MinIO", "content-type": "application/xml" },
      body: "<Error><Code>AccessDenied</Code></Error>",
    }),
  },
  {
    name: "Home Assistant",
    source: "documented: developers.home-assistant.io/docs/api/rest",
    answers: {
      "/": { headers: { server: "Python/3.13 aiohttp/3.12" }, body: html("Home Assistant") },
      "/manifest.json": { body: { name: "Home Assistant", short_name: "Home Assistant" } },
      "/api/config": { status: 401, body: "401: Unauthorized" },
    },
  },
  {
    name: "Portainer",
    source: "documented: docs.portainer.io/api, GET /api/status",
    answers: {
      "/": { body: html("Portainer") },
      "/api/status": { body: { Version: "2.33.0", InstanceID: "299ab403" } },
    },
  },
  ...SERVICES,
];
