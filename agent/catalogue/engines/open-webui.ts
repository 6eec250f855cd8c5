import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "open-webui",
  name: "Open WebUI",
  kind: "ui",
  ports: [8080, 3000],
  names: ["open-webui"],
  runsOn: ["python"],
  commands: ["open_webui\\.main:app", "(?:^|/)open-webui serve\\b"],
  traits: [
    {
      path: "/api/config",
      json: { name: { matches: "Open WebUI" }, features: { is: "object" } },
      weight: "identity",
      says: "its configuration names Open WebUI",
    },
    {
      path: "/api/config",
      json: {
        "features.enable_signup": { is: "boolean" },
        "features.enable_websocket": { is: "boolean" },
        default_locale: { is: "present" },
      },
      weight: "strong",
      says: "Open WebUI's configuration document",
    },
    {
      path: "/manifest.json",
      json: { name: { matches: "Open WebUI" } },
      weight: "identity",
      says: "the web manifest names Open WebUI",
    },
    { path: "/", body: "<title>Open WebUI", weight: "identity", says: "the page is titled Open WebUI" },
  ],
  version: [{ path: "/api/config", at: "version" }],
  sources: ["https://docs.openwebui.com/"],
  fixtures: {
    positive: [
      {
        source: "recorded from Open WebUI 0.12.4; every unknown path is the page",
        answers: {
          "/": {
            headers: { server: "uvicorn" },
            body: '<!doctype html>\n<html lang="en">\n\t<head>\n\t\t<meta charset="utf-8" />\n\t\t<title>Open WebUI</title>',
          },
          "/api/config": {
            body: {
              onboarding: true,
              status: true,
              name: "Open WebUI",
              version: "0.12.4",
              default_locale: "",
              i18n: {},
              oauth: { providers: {}, auto_redirect: false },
              features: { slim: false, auth: true, enable_signup: true, enable_websocket: true },
            },
          },
          "/api/version": { body: { version: "0.12.4", deployment_id: "" } },
          "/api/v1/models": { status: 401, body: { detail: "Not authenticated" } },
          "/openai/status": { status: 401, body: { detail: "Not authenticated" } },
        },
      },
      {
        source: "code: open-webui 0.12.4 (PyPI) open_webui/main.py (get_app_config)",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Open WebUI</title></head>" },
          "/api/config": {
            body: {
              status: true,
              name: "Open WebUI",
              version: "0.6.34",
              default_locale: "",
              oauth: { providers: {} },
              features: { auth: true, enable_signup: true, enable_login_form: true, enable_websocket: true },
            },
          },
        },
      },
      {
        source: "code: open-webui 0.12.4 (PyPI) open_webui/env.py (WEBUI_NAME), main.py (GET /manifest.json)",
        answers: {
          "/": { body: "<title>Acme Assistant</title>" },
          "/manifest.json": {
            body: { name: "Acme Assistant (Open WebUI)", short_name: "Acme", start_url: "/" },
          },
          "/api/config": {
            body: {
              status: true,
              name: "Acme Assistant (Open WebUI)",
              version: "0.6.34",
              default_locale: "en-US",
              features: { auth: true, enable_signup: false, enable_websocket: true },
            },
          },
        },
      },
      {
        source: "recorded from Open WebUI 0.12.4 (open-webui serve), its command line",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/open-webui", "serve", "--host", "127.0.0.1"],
        },
      },
      {
        source: "code: open-webui 0.12.4 (PyPI) __init__.py, run by uvicorn",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/uvicorn", "open_webui.main:app"],
        },
      },
    ],
    negative: [
      {
        source: "documented: LibreChat api/server/routes/config.js",
        answers: { "/api/config": { body: { appTitle: "LibreChat", registrationEnabled: true } } },
      },
    ],
  },
};

export default entry;
