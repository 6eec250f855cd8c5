import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "openvino-model-server",
  name: "OpenVINO Model Server",
  kind: "inference-engine",
  ports: [8000, 9000],
  names: ["ovms"],
  commands: ["(?:^|/)ovms .*--(?:model_path|config_path|source_model)"],
  traits: [
    {
      path: "/v2",
      json: { name: { matches: "^OpenVINO Model Server" } },
      weight: "identity",
      says: "its server metadata names OpenVINO Model Server",
    },
  ],
  version: [{ path: "/v2", at: "version" }],
  openai: true,
  sources: ["https://docs.openvino.ai/latest/ovms_what_is_openvino_model_server.html"],
  fixtures: {
    positive: [
      {
        source:
          "code: openvinotoolkit/model_server 7e4df0c src/version.hpp, src/http_rest_api_handler.cpp (GET /v2)",
        answers: { "/v2": { body: { name: "OpenVINO Model Server", version: "2025.2", extensions: [] } } },
      },
      {
        source: "code: openvinotoolkit/model_server 7e4df0c src/cli_parser.cpp",
        process: {
          executable: "/ovms/bin/ovms",
          argv: ["/ovms/bin/ovms", "--model_path", "/m", "--rest_port", "8000"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Triton, the same protocol",
        answers: { "/v2": { body: { name: "triton", version: "2.56.0", extensions: ["classification"] } } },
      },
    ],
  },
};

export default entry;
