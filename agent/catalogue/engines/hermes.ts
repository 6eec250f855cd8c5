import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "hermes",
  name: "Hermes Agent",
  kind: "agent",
  ports: [],
  names: ["hermes", "hermes-agent"],
  runsOn: ["python"],
  binaries: ["/\\.hermes/hermes-agent/"],
  commands: [
    "/hermes-agent/(?:\\.?venv/bin/)?hermes(?: |$)",
    "python[\\d.]* \\S*/bin/hermes (?:serve|dashboard|gateway|chat|acp)\\b",
  ],
  traits: [
    {
      path: "/openapi.json",
      json: { "info.title": { matches: "^Hermes Agent$" } },
      weight: "identity",
      says: "the API description is titled Hermes Agent",
    },
    {
      path: "/",
      statuses: [404],
      body: "Headless backend \\(hermes serve\\)",
      weight: "identity",
      says: "it says that hermes serve is running",
    },
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
  version: [{ path: "/openapi.json", at: "info.version" }],
  openai: true,
  sources: ["https://github.com/NousResearch/hermes-agent"],
  fixtures: {
    positive: [
      {
        source: "code: nesquena/hermes-webui df65251 server.py (server_version)",
        answers: {
          "/": { headers: { server: "HermesWebUI/0.52.262" }, body: "<!doctype html><title>Hermes</title>" },
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
      {
        source: "recorded from hermes-agent 0.19.0 (hermes dashboard)",
        answers: {
          "/": {
            headers: { server: "uvicorn" },
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <link rel="icon" type="image/svg+xml" href="/favicon.ico" />\n    <meta\n      name="viewport"\n      content="width=device-width, initial-scale=1.0, viewport-fit=cover"\n    />\n    <title>Hermes Agent - Dashboard</title>\n    <script type="module" crossorigin src="/assets/index-DE8KfxAS.js"></script>\n    <link rel="stylesheet" ',
          },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: { openapi: "3.1.0", info: { title: "Hermes Agent", version: "0.19.0" }, paths: {} },
          },
          "/api/status": {
            headers: { server: "uvicorn" },
            body: {
              version: "0.19.0",
              release_date: "2026.7.20",
              config_version: 33,
              latest_config_version: 33,
              can_update_hermes: false,
              gateway_running: false,
              gateway_state: null,
              gateway_platforms: {},
              gateway_exit_reason: null,
              gateway_updated_at: null,
              active_agents: 0,
              gateway_busy: false,
              gateway_drainable: false,
              restart_drain_timeout: 0,
              active_sessions: 0,
              auth_required: false,
              auth_providers: [],
              nous_session_valid: "unknown",
              profiles: ["default"],
              gateway_mode: "none",
              hermes_home: "/srv/.hermes",
              config_path: "/srv/.hermes/config.yaml",
              env_path: "/srv/.hermes/.env",
              gateway_pid: null,
              gateway_health_url: null,
              gateways: [],
            },
          },
          "/v1/models": {
            headers: { server: "uvicorn" },
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <link rel="icon" type="image/svg+xml" href="/favicon.ico" />\n    <meta\n      name="viewport"\n      content="width=device-widt',
          },
          "/api/config": { status: 401, headers: { server: "uvicorn" }, body: { detail: "Unauthorized" } },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/hermes",
            "dashboard",
            "--port",
            "21121",
            "--host",
            "127.0.0.1",
            "--no-open",
          ],
        },
      },
      {
        source: "recorded from hermes-agent 0.19.0 (hermes serve), without pages",
        answers: {
          "/": {
            status: 404,
            headers: { server: "uvicorn" },
            body: {
              error:
                "Headless backend (hermes serve): web UI disabled — use `hermes dashboard` for the browser UI.",
            },
          },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: { openapi: "3.1.0", info: { title: "Hermes Agent", version: "0.19.0" }, paths: {} },
          },
          "/api/config": { status: 401, headers: { server: "uvicorn" }, body: { detail: "Unauthorized" } },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/hermes", "serve", "--port", "21122", "--host", "127.0.0.1"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a parcel tracking service",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Hermes</title></head><body></body></html>" },
        },
      },
    ],
  },
};

export default entry;
