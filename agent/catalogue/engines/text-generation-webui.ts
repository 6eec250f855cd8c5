import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "text-generation-webui",
  name: "text-generation-webui",
  kind: "inference-app",
  ports: [7860, 5000],
  names: ["text-generation-webui", "oobabooga", "textgen"],
  runsOn: ["python"],
  binaries: [
    "/(?:text-generation-webui|oobabooga|textgen)[^/]*/(?:[^/]+/)*(?:pythonw?[\\d.]*|llama-server)(?:\\.exe)?$",
  ],
  commands: ["/(?:text-generation-webui|textgen)[^/ ]*/server\\.py"],
  traits: [
    {
      path: "/",
      body: '<title>Text generation web ?UI|(?:"title":\\s*|property="og:title" content=)"(?:Text generation web UI|TextGen)"',
      weight: "identity",
      says: "the page is titled Text generation web UI",
    },
    {
      path: "/openapi.json",
      body: '"/v1/internal/chat-prompt"[^]*"/v1/internal/lora/load"',
      weight: "strong",
      says: "the API description has its own paths",
    },
    {
      path: "/v1/internal/model/info",
      json: { model_name: { is: "present" }, lora_names: { is: "array" } },
      weight: "strong",
      says: "its own model information",
    },
  ],
  models: [{ path: "/v1/internal/model/info", each: "", name: "model_name", loaded: true }],
  openai: true,
  impersonates: ["gradio"],
  sources: ["https://github.com/oobabooga/text-generation-webui/wiki/12-%E2%80%90-OpenAI-API"],
  fixtures: {
    positive: [
      {
        source:
          "code: oobabooga/text-generation-webui v4.7.3 modules/api/script.py (routes), modules/api/models.py",
        answers: {
          "/": { headers: { server: "uvicorn" }, body: { message: "OK" } },
          "/openapi.json": {
            body: {
              openapi: "3.1.0",
              info: { title: "FastAPI", version: "0.1.0" },
              paths: { "/v1/internal/chat-prompt": {}, "/v1/internal/lora/load": {} },
            },
          },
          "/v1/internal/model/info": { body: { model_name: "Llama-3-8B-Q4_K_M.gguf", lora_names: [] } },
        },
      },
      {
        source:
          "code: oobabooga/text-generation-webui v4.7.3 server.py (title), run with its own gradio 4.37.2",
        answers: {
          "/": {
            body: '<meta property="og:title" content="TextGen" /><script>window.gradio_config = {"version":"4.37.2"',
          },
        },
      },
      {
        source: "lead: the environment that the product's installer creates",
        process: { executable: "/home/ada/text-generation-webui/installer_files/env/bin/python3.11" },
      },
      {
        source: "code: oobabooga/text-generation-webui v4.7.3 server.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/text-generation-webui/server.py", "--api"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a build tool of another project with a similar name",
        process: { executable: "/home/ada/textgen-frontend/node_modules/@esbuild/linux-x64/bin/esbuild" },
      },
      {
        source: "code: gradio 4.44.1 (PyPI) templates/frontend/index.html, its default title",
        answers: {
          "/": {
            body: '<meta property="og:title" content="Gradio" /><script>window.gradio_config = {"version":"4.44.1"',
          },
        },
      },
    ],
  },
};

export default entry;
