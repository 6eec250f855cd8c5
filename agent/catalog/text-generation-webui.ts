import type { CatalogEntry } from "./entry.ts";

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
      body: '<title>Text [Gg]eneration [Ww]eb ?UI|"title":\\s*"Text [Gg]eneration [Ww]eb UI"',
      weight: "identity",
      says: "the page is titled Text generation web UI",
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
  sources: ["https://github.com/oobabooga/text-generation-webui/wiki/12-%E2%80%90-OpenAI-API"],
  fixtures: {
    positive: [
      {
        source: "documented: text-generation-webui wiki 12 OpenAI API, extensions/openai/script.py",
        answers: {
          "/": { headers: { server: "uvicorn" }, body: { message: "OK" } },
          "/v1/internal/model/info": { body: { model_name: "Llama-3-8B-Q4_K_M.gguf", lora_names: [] } },
        },
      },
      {
        source: "documented: text-generation-webui server.py (gradio title)",
        answers: { "/": { body: "<!doctype html><html><head><title>Text Generation Web UI</title></head>" } },
      },
      {
        source: "lead: its installer's own environment",
        process: { executable: "/home/ada/text-generation-webui/installer_files/env/bin/python3.11" },
      },
    ],
    negative: [
      {
        source: "made up: a build tool of another project with a name like it",
        process: { executable: "/home/ada/textgen-frontend/node_modules/@esbuild/linux-x64/bin/esbuild" },
      },
      {
        source: "documented: gradio default page",
        answers: { "/": { body: "<!doctype html><title>Gradio</title>" } },
      },
    ],
  },
};

export default entry;
