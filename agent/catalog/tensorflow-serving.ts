import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "tensorflow-serving",
  name: "TensorFlow Serving",
  kind: "inference-engine",
  ports: [8501, 8500],
  names: ["tensorflow_model_server"],
  commands: ["(?:^|/)tensorflow_model_server .*--(?:model_base_path|model_config_file)"],
  traits: [
    {
      path: "/",
      statuses: [404],
      body: '"error":\\s*"Malformed request: GET /"',
      weight: "strong",
      says: "TensorFlow Serving's words for a malformed request",
    },
  ],
  sources: ["https://www.tensorflow.org/tfx/serving/api_rest"],
  fixtures: {
    positive: [
      {
        source: "documented: tensorflow/serving http_rest_api_handler.cc",
        answers: { "/": { status: 404, body: { error: "Malformed request: GET /" } } },
      },
    ],
    negative: [
      {
        source: "made up: an error document",
        answers: { "/": { status: 404, body: { error: "Not Found" } } },
      },
    ],
  },
};

export default entry;
