import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "powerinfer",
  name: "PowerInfer",
  kind: "inference-engine",
  ports: [8080],
  names: [],
  binaries: ["/PowerInfer[^/]*/(?:build/)?bin/(?:server|main|batched)$"],
  commands: ["(?:^|/)(?:server|main|batched)(?:\\.exe)? .*\\.powerinfer\\.gguf\\b"],
  traits: [],
  openai: true,
  sources: ["https://github.com/SJTU-IPADS/PowerInfer"],
  fixtures: {
    positive: [
      {
        source: "documented: SJTU-IPADS/PowerInfer README (build/bin/server)",
        process: {
          executable: "/home/ada/PowerInfer/build/bin/server",
          argv: ["./build/bin/server", "-m", "ReluLLaMA-7B.powerinfer.gguf"],
        },
      },
    ],
    negative: [
      {
        source: "made up: any program named server",
        process: { executable: "/opt/app/bin/server", argv: ["server", "-m", "x"] },
      },
    ],
  },
};

export default entry;
