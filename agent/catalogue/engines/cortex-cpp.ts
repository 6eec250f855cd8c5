import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "cortex-cpp",
  name: "Cortex.cpp",
  kind: "inference-engine",
  ports: [39281, 3928],
  names: ["cortex-server", "cortex"],
  binaries: ["/cortex(?:cpp|\\.cpp)[^/]*/cortex(?:-server)?(?:\\.exe)?$"],
  commands: ["(?:^|/)cortex(?:-server)?(?:\\.exe)? .*--(?:start-server|config_file_path)"],
  traits: [],
  models: [{ path: "/v1/models", each: "data[]", name: "id", loaded: false }],
  openai: true,
  directories: [{ path: "~/cortexcpp/models", layout: "files" }],
  sources: ["https://cortex.so/docs/"],
  fixtures: {
    positive: [
      {
        source: "documented: cortex.so/docs, server process",
        process: {
          executable: "/home/ada/cortexcpp/cortex-server",
          argv: ["cortex-server", "--start-server", "--config_file_path", "/home/ada/.cortexrc"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Cortex, the monitoring system",
        process: { executable: "/bin/cortex", argv: ["cortex", "-config.file=/etc/cortex.yaml"] },
      },
    ],
  },
};

export default entry;
