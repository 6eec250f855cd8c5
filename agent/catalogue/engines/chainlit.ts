import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "chainlit",
  name: "Chainlit app",
  kind: "ui",
  ports: [8000],
  names: ["chainlit"],
  runsOn: ["python"],
  commands: ["(?:^|/)chainlit run\\b", "-m chainlit run\\b"],
  traits: [
    {
      path: "/",
      body: 'chainlit-cloud\\.s3|property="og:url" content="https://github\\.com/Chainlit/chainlit"',
      weight: "identity",
      says: "the page has Chainlit's default links",
    },
    {
      path: "/auth/config",
      json: {
        requireLogin: { is: "present" },
        passwordAuth: { is: "boolean" },
        headerAuth: { is: "boolean" },
        oauthProviders: { is: "array" },
      },
      weight: "strong",
      says: "Chainlit's list of sign-in methods",
    },
  ],
  sources: ["https://docs.chainlit.io/"],
  fixtures: {
    positive: [
      {
        source: "recorded from chainlit 2.12.0 (chainlit run app.py -h)",
        answers: {
          "/": {
            headers: { server: "uvicorn", "content-type": "text/html; charset=utf-8" },
            body: '<!doctype html>\n<html lang="en">\n  <head>\n    <meta charset="UTF-8" />\n    <title>Assistant</title>\n    <link rel="icon" href="/favicon" />\n    <meta property="og:type" content="website">\n    <meta property="og:title" content="Assistant">\n    <meta property="og:image" content="https://chainlit-cloud.s3.eu-west-3.amazonaws.com/logo/chainlit_banner.png">\n    <meta property="og:url" content="https://github.com/Chainlit/chainlit">',
          },
          "/auth/config": {
            headers: { server: "uvicorn" },
            body: {
              requireLogin: null,
              passwordAuth: false,
              headerAuth: false,
              oauthProviders: [],
              default_theme: "dark",
              ui: { login_page_image: null },
            },
          },
          "/health": { headers: { server: "uvicorn" }, body: { status: "ok" } },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/chainlit", "run", "app.py", "-h", "--host", "127.0.0.1"],
        },
      },
      {
        source:
          "code: chainlit 2.12.0 (PyPI) server.py (get_html_template, GET /auth/config), its links replaced",
        answers: {
          "/": { body: '<title>Acme</title>\n    <meta property="og:url" content="https://acme.test">' },
          "/auth/config": {
            body: { requireLogin: true, passwordAuth: true, headerAuth: false, oauthProviders: ["google"] },
          },
        },
      },
      {
        source: "code: chainlit 2.12.0 (PyPI) __main__.py, entry_points.txt",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["python3", "-m", "chainlit", "run", "app.py"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an assistant of another product",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Assistant</title></head></html>" },
          "/health": { body: { status: "ok" } },
        },
      },
      {
        source: "made up: the sign-in methods of another service",
        answers: { "/auth/config": { body: { passwordAuth: true, oauthProviders: ["google"] } } },
      },
    ],
  },
};

export default entry;
