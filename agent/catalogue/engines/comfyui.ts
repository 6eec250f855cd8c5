import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "comfyui",
  name: "ComfyUI",
  kind: "image",
  ports: [8188, 8000],
  names: ["comfyui", "comfy"],
  runsOn: ["python"],
  binaries: [
    "/ComfyUI\\.app/Contents/",
    "/ComfyUI[^/]*/(?:\\.?venv|env|python_embeded)/(?:[^/]+/)*pythonw?[\\d.]*(?:\\.exe)?$",
  ],
  commands: ["/ComfyUI[^/ ]*/main\\.py"],
  traits: [
    {
      path: "/system_stats",
      json: { "system.comfyui_version": { is: "present" } },
      weight: "identity",
      says: "the system document has a comfyui_version",
    },
    {
      path: "/system_stats",
      json: { "system.embedded_python": { is: "boolean" }, "devices[].vram_total": { is: "number" } },
      weight: "strong",
      says: "ComfyUI's system document",
    },
    { path: "/", body: "<title>ComfyUI", weight: "identity", says: "the page is titled ComfyUI" },
  ],
  version: [{ path: "/system_stats", at: "system.comfyui_version" }],
  sources: ["https://docs.comfy.org/development/comfyui-server/comms_routes"],
  fixtures: {
    positive: [
      {
        source:
          "code: comfyui-frontend-package 1.58.1 (PyPI) index.html; comfyanonymous/ComfyUI server.py (GET /system_stats)",
        answers: {
          "/": { body: "<!DOCTYPE html><html><head><title>ComfyUI</title>" },
          "/system_stats": {
            body: {
              system: {
                os: "posix",
                ram_total: 25,
                ram_free: 20,
                comfyui_version: "0.3.68",
                python_version: "3.12",
                pytorch_version: "2.9.0",
                embedded_python: false,
                argv: ["main.py"],
              },
              devices: [{ name: "cpu", type: "cpu", index: null, vram_total: 25, vram_free: 20 }],
            },
          },
        },
      },
      {
        source: "lead: the portable build for Windows",
        process: { executable: "C:\\ComfyUI_windows_portable\\python_embeded\\python.exe" },
      },
      {
        source: "code: comfyanonymous/ComfyUI 5fe9d9c main.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/home/ada/ComfyUI/main.py", "--port", "8188"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a build tool of an extension developer",
        process: { executable: "/home/ada/ComfyUI_frontend/node_modules/@esbuild/linux-x64/bin/esbuild" },
      },
      {
        source: "made up: a system information response of another service",
        answers: { "/system_stats": { body: { system: { os: "posix" } } } },
      },
      {
        source: "documented: SwarmUI page",
        answers: { "/": { body: "<title>SwarmUI</title> ComfyUI backend" } },
      },
    ],
  },
};

export default entry;
