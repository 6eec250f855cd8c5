import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "automatic1111",
  name: "Stable Diffusion web UI",
  kind: "image",
  ports: [7860],
  names: ["stable-diffusion-webui"],
  runsOn: ["python"],
  binaries: [
    "/(?:stable-diffusion-webui[^/]*|sd-webui[^/]*|automatic)/venv/(?:[^/]+/)*pythonw?[\\d.]*(?:\\.exe)?$",
  ],
  commands: ["/stable-diffusion-webui[^/ ]*/(?:webui|launch)\\.py"],
  traits: [
    {
      path: "/sdapi/v1/options",
      json: { sd_model_checkpoint: { is: "present" } },
      weight: "strong",
      says: "its options name a Stable Diffusion checkpoint",
    },
    {
      path: "/sdapi/v1/sd-models",
      json: { "[].model_name": { is: "string" }, "[].title": { is: "string" } },
      weight: "strong",
      says: "its list of Stable Diffusion checkpoints",
    },
    {
      path: "/",
      body: '<title>Stable Diffusion(?: UX)?</title>|(?:"title":\\s*|property="og:title" content=)"Stable Diffusion"',
      weight: "strong",
      says: "the page is titled Stable Diffusion",
    },
  ],
  models: [
    { path: "/sdapi/v1/sd-models", each: "[]", name: "model_name", digest: "sha256", loaded: false },
    { path: "/sdapi/v1/options", each: "", name: "sd_model_checkpoint", loaded: true },
  ],
  impersonates: ["gradio"],
  sources: ["https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API"],
  fixtures: {
    positive: [
      {
        source:
          "code: AUTOMATIC1111/stable-diffusion-webui 7c8a4cc modules/ui.py (title), f4f5bca modules/api/models.py; gradio 3.41.2 (PyPI) templates/frontend/index.html",
        answers: {
          "/": {
            body: '<meta property="og:title" content="Stable Diffusion" /><script>window.gradio_config = {"version": "3.41.2"',
          },
          "/sdapi/v1/options": {
            body: { samples_save: true, sd_model_checkpoint: "v1-5.safetensors [6ce0161689]" },
          },
          "/sdapi/v1/sd-models": {
            body: [
              {
                title: "v1-5.safetensors [6ce0161689]",
                model_name: "v1-5",
                hash: "6ce0161689",
                sha256: null,
                filename: "/models/v1-5.safetensors",
                config: null,
              },
            ],
          },
        },
      },
      {
        source: "lead: the product's virtual environment on Windows",
        process: { executable: "C:\\stable-diffusion-webui\\venv\\Scripts\\python.exe" },
      },
      {
        source: "code: AUTOMATIC1111/stable-diffusion-webui ade40aa launch.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/stable-diffusion-webui/launch.py", "--listen"],
        },
      },
    ],
    negative: [
      {
        source: "made up: another project with a similar name",
        process: { executable: "C:\\src\\automatic-invoices\\venv\\Scripts\\python.exe" },
      },
      {
        source: "documented: KoboldCpp answers the same API for image clients",
        answers: {
          "/api/extra/version": { body: { result: "KoboldCpp", version: "1.98" } },
          "/sdapi/v1/options": { body: { samples_format: "png", sd_model_checkpoint: "flux" } },
          "/sdapi/v1/sd-models": { body: [{ title: "flux", model_name: "flux", hash: "8888888888" }] },
        },
      },
    ],
  },
};

export default entry;
