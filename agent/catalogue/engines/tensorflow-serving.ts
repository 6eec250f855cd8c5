import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "tensorflow-serving",
  name: "TensorFlow Serving",
  kind: "inference-engine",
  ports: [8501, 8500],
  names: ["tensorflow_model_server"],
  commands: ["(?:^|/)tensorflow_model_server .*--(?:model_base_path|model_config_file)"],
  traits: [
    {
      path: "/v1/models",
      statuses: [400],
      json: { error: { matches: "^Missing model name in request\\.$" } },
      weight: "strong",
      says: "TensorFlow Serving's error for a request without a model",
    },
  ],
  sources: ["https://www.tensorflow.org/tfx/serving/api_rest"],
  fixtures: {
    positive: [
      {
        source:
          "code: tensorflow/serving 9d981c5 model_servers/http_rest_api_handler.cc (ProcessModelStatusRequest), http_server.cc",
        answers: {
          "/": { status: 404, body: "" },
          "/v1/models": {
            status: 400,
            headers: { "content-type": "application/json" },
            body: '{\n    "error": "Missing model name in request."\n}',
          },
        },
      },
      {
        source: "code: tensorflow/serving 9d981c5 model_servers/main.cc",
        process: {
          executable: "/usr/bin/tensorflow_model_server",
          argv: ["tensorflow_model_server", "--rest_api_port=8501", "--model_base_path=/m"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an error response of another service",
        answers: { "/v1/models": { status: 400, body: { error: "Missing parameter" } } },
      },
    ],
  },
};

export default entry;
