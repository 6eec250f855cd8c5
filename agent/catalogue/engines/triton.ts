import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "triton",
  name: "NVIDIA Triton Inference Server",
  kind: "inference-engine",
  ports: [8000, 8001, 8002],
  names: ["tritonserver"],
  libraries: ["/libtritonserver(?:-[0-9a-f]{8})?\\.so"],
  traits: [
    {
      path: "/v2",
      json: { name: { matches: "^triton$" }, extensions: { is: "array" } },
      weight: "identity",
      says: "its server metadata names triton",
    },
    {
      path: "/metrics",
      body: "(?:^|\\n)# HELP nv_(?:inference_request_success|pinned_memory_pool_total_bytes) ",
      weight: "strong",
      says: "Triton's metrics",
    },
  ],
  version: [{ path: "/v2", at: "version" }],
  sources: ["https://docs.nvidia.com/deeplearning/triton-inference-server/"],
  fixtures: {
    positive: [
      {
        source: "documented: triton-inference-server/server docs/protocol (KServe v2 metadata)",
        answers: {
          "/v2": {
            body: {
              name: "triton",
              version: "2.56.0",
              extensions: ["classification", "sequence", "model_repository"],
            },
          },
        },
      },
      {
        source:
          "recorded from tritonserver 2.51.0 as packed in nvidia-pytriton 0.7.0 (PyPI), without a model",
        answers: {
          "/": { status: 404, headers: { "content-type": "text/plain" }, body: { error: "Not Found" } },
          "/v2": {
            body: {
              name: "triton",
              version: "2.51.0",
              extensions: [
                "classification",
                "sequence",
                "model_repository",
                "model_repository(unload_dependents)",
                "schedule_policy",
                "model_configuration",
                "system_shared_memory",
                "cuda_shared_memory",
                "binary_tensor_data",
                "parameters",
                "statistics",
                "trace",
                "logging",
              ],
            },
          },
        },
        process: {
          executable: "/venv/lib/python3.10/site-packages/pytriton/tritonserver/bin/tritonserver",
          argv: [
            "/venv/lib/python3.10/site-packages/pytriton/tritonserver/bin/tritonserver",
            "--model-repository=/srv/models",
            "--http-address=127.0.0.1",
            "--http-port=21111",
            "--grpc-port=21112",
            "--grpc-address=127.0.0.1",
            "--metrics-address=127.0.0.1",
            "--metrics-port=21113",
            "--backend-directory=/venv/lib/python3.10/site-packages/pytriton/tritonserver/backends",
          ],
        },
      },
      {
        source: "recorded from tritonserver 2.51.0, its metrics; its HTTP service is off",
        answers: {
          "/metrics": {
            headers: { "content-type": "text/plain; charset=utf-8" },
            body: "# HELP nv_pinned_memory_pool_total_bytes Pinned memory pool total memory size, in bytes\n# TYPE nv_pinned_memory_pool_total_bytes gauge\nnv_pinned_memory_pool_total_bytes 268435456\n",
          },
        },
      },
      {
        source: "recorded from a renamed tritonserver 2.51.0 of nvidia-pytriton 0.7.0: the library it loads",
        process: {
          executable: "/opt/bin/serve",
          argv: ["/opt/bin/serve", "--model-repository=/srv/models"],
          libraries: ["/venv/lib/python3.10/site-packages/nvidia_pytriton.libs/libtritonserver-717102f0.so"],
        },
      },
    ],
    negative: [
      {
        source: "documented: github.com/NVIDIA/dcgm-exporter (metrics of a GPU)",
        answers: {
          "/metrics": {
            body: "# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).\nDCGM_FI_DEV_GPU_UTIL 0\n",
          },
        },
      },
      {
        source: "documented: OpenVINO Model Server, the same protocol",
        answers: { "/v2": { body: { name: "OpenVINO Model Server", version: "2025.2", extensions: [] } } },
      },
    ],
  },
};

export default entry;
