import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "ollama",
  name: "Ollama",
  kind: "inference-engine",
  ports: [11434],
  names: ["ollama", "ollama app", "ollama_llama_server", "ollama-lib"],
  binaries: [
    "/ollama/(?:runners/.*)?(?:llama-server|ollama_llama_server)(?:\\.exe)?$",
    "/Ollama\\.app/Contents/",
    "/Programs/Ollama/",
  ],
  commands: ["(?:^|/)ollama(?:\\.exe)? (?:serve|runner)\\b"],
  libraries: ["/lib/ollama/.*lib(?:ggml|llama|mlx)", "/ollama/lib/.*(?:ggml|llama)"],
  traits: [
    {
      path: "/",
      body: "^Ollama is running$",
      weight: "identity",
      says: "it says that Ollama is running",
    },
    {
      path: "/api/tags",
      json: { models: { is: "array" }, "models[].details.families": { is: "present" } },
      unless: { json: { "models[].details.family": { matches: "koboldcpp" } } },
      weight: "strong",
      says: "Ollama's list of models",
    },
    {
      path: "/api/version",
      json: { version: { matches: "^\\d+\\.\\d+\\.\\d+" } },
      weight: "hint",
      says: "a version document like Ollama's",
    },
  ],
  version: [{ path: "/api/version", at: "version" }],
  models: [
    {
      path: "/api/tags",
      each: "models[]",
      name: "name",
      digest: "digest",
      sizeBytes: "size",
      architecture: "details.family",
      parameters: "details.parameter_size",
      quantisation: "details.quantization_level",
      format: "details.format",
      loaded: false,
    },
    { path: "/api/ps", each: "models[]", name: "name", digest: "digest", loaded: true },
  ],
  openai: true,
  directories: [
    { path: "~/.ollama/models", layout: "ollama" },
    { path: "/usr/share/ollama/.ollama/models", layout: "ollama" },
    { path: "/var/lib/ollama/.ollama/models", layout: "ollama" },
    // NixOS: `home` and `models` in nixos/modules/services/misc/ollama.nix of nixpkgs. With DynamicUser the
    // path is a symbolic link.
    { path: "/var/lib/ollama/models", layout: "ollama" },
    // Snap: `$SNAP_COMMON/models` in snap/hooks/configure of mz2/ollama.
    { path: "/var/snap/ollama/common/models", layout: "ollama" },
    // Flatpak: Alpaca starts its own Ollama (src/widgets/instances/ollama_instances.py of Jeffser/Alpaca).
    { path: "~/.var/app/com.jeffser.Alpaca/data/.ollama/models", layout: "ollama" },
    // Alpaca outside of a sandbox (src/constants.py, get_xdg_home).
    { path: "~/.local/share/com.jeffser.Alpaca/.ollama/models", layout: "ollama" },
    // Docker volume of a container that may be stopped, from `-v ollama:/root/.ollama` in docs/docker.md.
    { path: "/var/lib/docker/volumes/ollama/_data/models", layout: "ollama" },
    { path: "/var/lib/containers/storage/volumes/ollama/_data/models", layout: "ollama" },
    { path: "~/.local/share/containers/storage/volumes/ollama/_data/models", layout: "ollama" },
  ],
  sources: ["https://github.com/ollama/ollama/blob/main/docs/api.md"],
  fixtures: {
    positive: [
      {
        source: "documented: github.com/ollama/ollama docs/api.md and server/routes.go",
        answers: {
          "/": { headers: { "content-type": "text/plain; charset=utf-8" }, body: "Ollama is running" },
          "/api/version": { body: { version: "0.5.1" } },
          "/api/tags": {
            body: {
              models: [
                {
                  name: "deepseek-r1:latest",
                  model: "deepseek-r1:latest",
                  modified_at: "2025-05-10T08:06:48.639712648-07:00",
                  size: 4683075271,
                  digest: "0a8c266910232fd3291e71e5ba1e058cc5af9d411192cf88b6d30e92b6e73163",
                  details: {
                    parent_model: "",
                    format: "gguf",
                    family: "qwen2",
                    families: ["qwen2"],
                    parameter_size: "7.6B",
                    quantization_level: "Q4_K_M",
                  },
                },
              ],
            },
          },
        },
      },
      {
        source: "recorded from Ollama 0.17.4, built from its Go module, one model created and loaded",
        answers: {
          "/": { headers: { "content-type": "text/plain; charset=utf-8" }, body: "Ollama is running" },
          "/api/version": { body: { version: "0.0.0" } },
          "/api/tags": {
            body: {
              models: [
                {
                  name: "tiny:latest",
                  model: "tiny:latest",
                  modified_at: "2026-11-22T00:22:02.761656103Z",
                  size: 17273547,
                  digest: "6596ccf01474479385de487372dec41530c3d35541c2b10ecf9c428c524d2cde",
                  details: {
                    parent_model: "",
                    format: "gguf",
                    family: "llama",
                    families: ["llama"],
                    parameter_size: "4.14M",
                    quantization_level: "unknown",
                  },
                },
              ],
            },
          },
          "/api/ps": {
            body: {
              models: [
                {
                  name: "tiny:latest",
                  model: "tiny:latest",
                  size: 8372992,
                  digest: "6596ccf01474479385de487372dec41530c3d35541c2b10ecf9c428c524d2cde",
                  expires_at: "2026-11-22T00:27:03.578250511Z",
                  size_vram: 0,
                  context_length: 64,
                },
              ],
            },
          },
          "/v1/models": {
            body: {
              object: "list",
              data: [{ id: "tiny:latest", object: "model", created: 1795306922, owned_by: "library" }],
            },
          },
        },
        process: { executable: "/usr/local/bin/ollama", argv: ["ollama", "serve"] },
      },
      {
        source:
          "code: ollama/ollama v0.33.0-rc2 app/updater/updater_darwin.go (SystemWidePath), CMakeLists.txt (OLLAMA_LIB_DIR)",
        process: {
          executable: "/Applications/Ollama.app/Contents/Resources/ollama",
          argv: ["ollama", "serve"],
          libraries: ["/usr/local/lib/ollama/libggml-base.so"],
        },
      },
      {
        source: "documented: github.com/ollama/ollama docs/macos.mdx; the Finder's name for a second copy",
        process: { executable: "/Applications/Ollama 2.app/Contents/MacOS/Ollama" },
      },
      {
        source: "code: nixpkgs pkgs/by-name/ol/ollama/package.nix (wrapProgram)",
        process: {
          executable: "/nix/store/0a1b2c-ollama-0.12.6/bin/.ollama-wrapped",
          argv: ["/nix/store/0a1b2c-ollama-0.12.6/bin/ollama", "serve"],
        },
      },
    ],
    negative: [
      {
        source: "documented: KoboldCpp koboldcpp.py answers /api/tags for Ollama clients",
        answers: {
          "/api/version": { body: { version: "0.7.0" } },
          "/api/tags": {
            body: {
              models: [
                {
                  name: "koboldcpp",
                  model: "koboldcpp/model:latest",
                  details: { family: "koboldcpp", families: ["koboldcpp"], format: "gguf" },
                },
              ],
            },
          },
        },
      },
      {
        source: "made up: an application with a version response",
        answers: { "/api/version": { body: { version: "1.2.3" } } },
      },
    ],
  },
};

export default entry;
