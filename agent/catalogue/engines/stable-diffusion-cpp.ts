import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "stable-diffusion-cpp",
  name: "stable-diffusion.cpp",
  kind: "image",
  ports: [1234],
  names: ["sd", "sd-server", "sd-cli"],
  binaries: ["/stable-diffusion\\.cpp[^/]*/(?:build/)?bin/sd(?:-server|-cli)?(?:\\.exe)?$"],
  libraries: ["/libstable-diffusion\\.(?:so|dylib)|/stable-diffusion\\.dll"],
  traits: [],
  sources: ["https://github.com/leejet/stable-diffusion.cpp"],
  fixtures: {
    positive: [
      {
        source: "documented: leejet/stable-diffusion.cpp README",
        process: {
          executable: "/home/ada/stable-diffusion.cpp/build/bin/sd",
          argv: ["./bin/sd", "-m", "v1-5.safetensors", "-p", "a cat"],
        },
      },
    ],
    negative: [
      {
        source: "documented: another program called sd replaces text",
        process: { executable: "/usr/bin/sd", argv: ["sd", "a", "b"] },
      },
    ],
  },
};

export default entry;
