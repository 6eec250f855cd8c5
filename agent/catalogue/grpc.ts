/*
 * gRPC methods that identify a product. All methods are unary, change nothing, and accept an empty message.
 * The table is not part of the catalogue entries, because older agents reject a catalogue with unknown
 * fields.
 *
 * Field numbers are those of the published .proto files. Messages are parsed without their schema.
 */

export type GrpcTrait = {
  /** Id in the catalogue. */
  product: string;
  /** Path of the method: `/package.Service/Method`. */
  call: string;
  /** Patterns for string fields of the response, by field number. All patterns must match. */
  text?: Readonly<Record<number, string>>;
  /**
   * An error that only this product returns. Set if the method returns this error instead of a normal
   * response. `message` is a pattern.
   */
  error?: { status: number; message: string };
  /** `identity`: the response names the product. `strong`: only this product has the method. */
  weight: "identity" | "strong";
  says: string;
  /** Field that contains the version. If `matches` is set, the version is capture group 1 of that pattern. */
  version?: { field: number; matches?: string };
};

/** Method with which a product lists its models. */
export type GrpcModels = {
  /** Path of the method: `/package.Service/Method`. */
  call: string;
  /** Repeated field with one message per model. Absent if the response itself describes the only model. */
  each?: number;
  /** Fields with the model's name. The first non-empty field is used. */
  names: readonly number[];
  /** Field that shows whether a model is loaded. Absent if all listed models are loaded. */
  loaded?: { field: number; matches: string };
};

/** Source: kserve/open-inference-protocol, specification/protocol/open_inference_grpc.proto. */
const KSERVE = "/inference.GRPCInferenceService/ServerMetadata";
const kserve = (product: string, name: string): GrpcTrait => ({
  product,
  call: KSERVE,
  text: { 1: name },
  weight: "identity",
  says: `its server metadata names ${product}`,
  version: { field: 2 },
});

export const GRPC_TRAITS: readonly GrpcTrait[] = [
  // Source: triton-inference-server/server, src/grpc/grpc_server.cc. Recorded from tritonserver 2.51.0 over
  // HTTP, see triton.ts.
  kserve("triton", "^triton$"),
  // Recorded from MLServer 1.7.1.
  kserve("mlserver", "^mlserver$"),
  // Source: openvinotoolkit/model_server, src/kfs_frontend/kfs_grpc_inference_service.cpp and src/version.hpp
  // (PROJECT_NAME).
  kserve("openvino-model-server", "^OpenVINO Model Server"),
  // Source: kserve/kserve, python/kserve/kserve/constants/constants.py (KSERVE_MODEL_SERVER_NAME).
  kserve("kserve", "^kserve$"),
  {
    product: "kserve",
    call: KSERVE,
    text: { 1: "." },
    weight: "strong",
    says: "it answers the KServe v2 inference protocol",
    version: { field: 2 },
  },
  // Sources: lightseekorg/smg-grpc-proto 0.4.28 (PyPI), vllm_engine.proto; vllm-project/vllm,
  // vllm/entrypoints/grpc_server.py.
  {
    product: "vllm",
    call: "/vllm.grpc.engine.VllmEngine/GetServerInfo",
    text: { 5: "^vllm" },
    weight: "identity",
    says: "its server information names vLLM",
  },
  // Source: smg-grpc-proto 0.4.28 (PyPI), sglang_scheduler.proto.
  {
    product: "sglang",
    call: "/sglang.grpc.scheduler.SglangScheduler/GetServerInfo",
    text: { 7: "\\d" },
    weight: "identity",
    says: "its server information has a version of SGLang",
    version: { field: 7 },
  },
  // Source: huggingface/text-embeddings-inference, proto/tei.proto.
  {
    product: "tei",
    call: "/tei.v1.Info/Info",
    text: { 1: "^\\d+\\.", 4: "." },
    weight: "strong",
    says: "TEI's information message",
    version: { field: 1 },
  },
  // Source: pytorch/serve, frontend/server/src/main/resources/proto/inference.proto.
  {
    product: "torchserve",
    call: "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping",
    text: { 1: '"status"' },
    weight: "strong",
    says: "TorchServe's health message",
  },
  // Source: tensorflow/serving, tensorflow_serving/servables/tensorflow/get_model_status_impl.cc.
  {
    product: "tensorflow-serving",
    call: "/tensorflow.serving.ModelService/GetModelStatus",
    error: { status: 3, message: "^Missing ModelSpec$" },
    weight: "strong",
    says: "TensorFlow Serving's error for a request without a model",
  },
  // Sources: ray-project/ray, src/ray/protobuf/serve.proto and python/ray/serve/_private/proxy.py.
  {
    product: "ray-serve",
    call: "/ray.serve.RayServeAPIService/Healthz",
    text: { 1: "." },
    weight: "strong",
    says: "Ray Serve's health message",
  },
  // Source: qdrant/qdrant, lib/api/src/grpc/proto/qdrant.proto.
  {
    product: "qdrant",
    call: "/qdrant.Qdrant/HealthCheck",
    text: { 1: "^qdrant - vector search engine" },
    weight: "identity",
    says: "its title is qdrant",
    version: { field: 2 },
  },
  // Recorded from milvus-lite 3.2.2 (PyPI), version `milvus_lite-3.2.2`. Source: milvus-io/milvus-proto,
  // proto/milvus.proto.
  {
    product: "milvus",
    call: "/milvus.proto.milvus.MilvusService/GetVersion",
    text: { 2: "\\d" },
    weight: "strong",
    says: "a version from Milvus's API",
    version: { field: 2, matches: "(\\d+(?:\\.\\d+)+)" },
  },
];

/**
 * Source: triton-inference-server/common, protobuf/grpc_service.proto (RepositoryIndex). MLServer and KServe
 * use copies of this file.
 */
const REPOSITORY: GrpcModels = {
  call: "/inference.GRPCInferenceService/RepositoryIndex",
  each: 1,
  names: [1],
  loaded: { field: 3, matches: "^READY$" },
};

/**
 * MLServer has RepositoryIndex in a separate service. Source: mlserver 1.7.1 (PyPI),
 * mlserver/grpc/model_repository_pb2.py.
 */
const MLSERVER_REPOSITORY: GrpcModels = {
  ...REPOSITORY,
  call: "/inference.model_repository.ModelRepositoryService/RepositoryIndex",
};

export const GRPC_MODELS: Readonly<Record<string, GrpcModels>> = {
  triton: REPOSITORY,
  mlserver: MLSERVER_REPOSITORY,
  vllm: { call: "/vllm.grpc.engine.VllmEngine/GetModelInfo", names: [6, 1] },
  sglang: { call: "/sglang.grpc.scheduler.SglangScheduler/GetModelInfo", names: [6, 1] },
  tei: { call: "/tei.v1.Info/Info", names: [4] },
};
