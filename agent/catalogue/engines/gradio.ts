import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "gradio",
  name: "Gradio app",
  kind: "ui",
  ports: [7860],
  names: ["gradio"],
  runsOn: ["python"],
  traits: [
    {
      path: "/",
      body: "<script>window\\.gradio_config = \\{",
      weight: "identity",
      says: "the page carries Gradio's configuration",
    },
    {
      path: "/config",
      json: {
        version: { matches: "^\\d+\\.\\d+" },
        mode: { matches: "^(?:blocks|interface|chat_interface|tabbed_interface)$" },
        "components[].type": { is: "string" },
      },
      weight: "strong",
      says: "Gradio's configuration",
    },
  ],
  version: [{ path: "/config", at: "version" }],
  absorbs: ["unknown-weights"],
  sources: ["https://www.gradio.app/docs"],
  fixtures: {
    positive: [
      {
        source: "recorded from gradio 6.31.0, a chat with a bot",
        answers: {
          "/": {
            headers: { server: "uvicorn", "content-type": "text/html; charset=utf-8" },
            body: '<!doctype html>\n<html\n\tlang="en"\n>\n\t<head>\n\t\t<meta property="og:title" content="Gradio" />\n\t\t<meta property="og:title" content="My bot" />\n\t\t<script>window.gradio_config = {"version":"6.31.0","api_prefix":"/gradio_api","mode":"chat_interface","app_id":18167619743575318923,"dev_mode":false',
          },
          "/config": {
            headers: { server: "uvicorn", "content-type": "application/json" },
            body: '{"version":"6.31.0","api_prefix":"/gradio_api","mode":"chat_interface","app_id":18167619743575318923,"dev_mode":false,"vibe_mode":false,"analytics_enabled":false,"components":[{"id":1,"type":"browserstate","props":{"default_value":[],"storage_key":"_saved_conversations_0"',
          },
        },
      },
      {
        source: "code: gradio 3.41.2 (PyPI) templates/frontend/index.html, routes.py, with a sign-in",
        answers: {
          "/": {
            headers: { server: "uvicorn" },
            body: '<meta property="og:title" content="" /><script>window.gradio_config = {"auth_required": true, "auth_message": null',
          },
          "/config": { status: 401, headers: { server: "uvicorn" }, body: { detail: "Not authenticated" } },
        },
      },
    ],
    negative: [
      {
        source: "made up: the configuration of another block editor",
        answers: { "/config": { body: { version: "2.1", mode: "blocks", components: ["header"] } } },
      },
      {
        source: "made up: a page about Gradio",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>Gradio</title></head><body>gradio_config</body></html>",
          },
        },
      },
      {
        source: "recorded from streamlit (PyPI): another framework for apps in Python",
        answers: {
          "/": {
            headers: { server: "uvicorn" },
            body: "<!doctype html><html><head><title>Streamlit</title>",
          },
        },
      },
      {
        source: "code: lllyasviel/Fooocus v2.5.5 webui.py (title), a product that is built on it",
        answers: {
          "/": {
            body: '<meta property="og:title" content="Fooocus 2.5.5" /><script>window.gradio_config = {"version": "3.41.2"',
          },
        },
      },
    ],
  },
};

export default entry;
