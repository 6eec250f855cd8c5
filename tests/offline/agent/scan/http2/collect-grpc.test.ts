import { afterAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { GRPC_MODELS, GRPC_TRAITS } from "../../../../../agent/catalogue/grpc.ts";
import { fingerprint, refreshModels } from "../../../../../agent/scan/probe/fingerprint.ts";
import { createProbe } from "../../../../../agent/scan/probe/probe.ts";
import { describeUnless, missing } from "../../../../support/missing.ts";
import { encode, messageOf } from "../../../../support/programs/protobuf.ts";
import { ROOT } from "../../../../support/stack.ts";

const python = process.env.LZ_PYTHON ?? "python3";
const hasGrpc = Bun.spawnSync([python, "-c", "import grpc"], { stderr: "ignore" }).exitCode === 0;
const lacking = [...missing("Linux"), ...(hasGrpc ? [] : ["grpcio of PyPI, in the Python of LZ_PYTHON"])];

const children: { kill(): void }[] = [];
afterAll(() => {
  for (const child of children) child.kill();
});

type Answers = Record<string, { hex: string } | { status: number; message: string }>;

async function serve(answers: Answers, ...more: string[]): Promise<number> {
  const script = join(ROOT, "tests/support/programs/grpc-server.py");
  const command = [python, script, JSON.stringify(answers), ...more];
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
  children.push(child);
  const { value, done } = await child.stdout.getReader().read();
  if (done) throw new Error("the server ended before it was ready");
  return Number(new TextDecoder().decode(value));
}

const deps = { probe: createProbe(2000), catalogue, elapsed: () => performance.now() };
const ask = (port: number) => fingerprint(deps, { address: "127.0.0.1", port }, new Set());

const METADATA = "/inference.GRPCInferenceService/ServerMetadata";
const INDEX = "/inference.GRPCInferenceService/RepositoryIndex";
const metadata = (name: string, version: string) => ({
  hex: messageOf([1, name], [2, version], [3, "model_repository"], [3, "statistics"]),
});

test("every product with gRPC traits is in the catalogue", () => {
  const ids = new Set(catalogue.map(({ id }) => id));
  const named = [...GRPC_TRAITS.map(({ product }) => product), ...Object.keys(GRPC_MODELS)];
  expect(named.filter((id) => !ids.has(id))).toEqual([]);
});

describeUnless(lacking, "fingerprint() of a gRPC server", () => {
  test("identifies Triton with version, models and open access", async () => {
    const model = (name: string, state: string) =>
      encode([
        [1, name],
        [2, "1"],
        [3, state],
      ]);
    const port = await serve({
      [METADATA]: metadata("triton", "2.51.0"),
      [INDEX]: { hex: messageOf([1, model("llama", "READY")], [1, model("resnet", "UNAVAILABLE")]) },
    });
    const found = await ask(port);
    expect(found.judgement.winner?.entry.id).toBe("triton");
    expect(found.judgement.winner?.traits).toMatchObject([{ path: METADATA, weight: "identity" }]);
    expect(found.judgement.runnersUp).toEqual([]);
    expect(found).toMatchObject({ version: "2.51.0", auth: "open", settled: true, grpc: true });
    expect(found.models).toEqual([
      { name: "llama", loaded: true },
      { name: "resnet", loaded: false },
    ]);
    expect(await refreshModels(deps, found)).toBe(found);
  });

  test("works over TLS too", async () => {
    const tls = (name: string) => join(ROOT, "tests/fixtures/tls", name);
    const port = await serve(
      { [METADATA]: metadata("triton", "2.51.0") },
      "--tls",
      tls("self-signed-key.pem"),
      tls("self-signed.pem"),
    );
    const found = await ask(port);
    expect(found.judgement.winner?.entry.id).toBe("triton");
    expect(found.target).toMatchObject({ tls: true, http2: true });
  });

  test.each([
    ["mlserver", { [METADATA]: metadata("mlserver", "1.7.1") }, "1.7.1"],
    ["openvino-model-server", { [METADATA]: metadata("OpenVINO Model Server", "2025.2") }, "2025.2"],
    ["kserve", { [METADATA]: metadata("kserve", "0.10.1") }, "0.10.1"],
    ["kserve", { [METADATA]: metadata("orders of magnitude", "3") }, "3"],
    [
      "vllm",
      { "/vllm.grpc.engine.VllmEngine/GetServerInfo": { hex: messageOf([5, "vllm-grpc"]) } },
      undefined,
    ],
    [
      "sglang",
      {
        "/sglang.grpc.scheduler.SglangScheduler/GetServerInfo": { hex: messageOf([7, "0.5.5"], [8, "grpc"]) },
      },
      "0.5.5",
    ],
    [
      "tei",
      { "/tei.v1.Info/Info": { hex: messageOf([1, "1.8.3"], [4, "BAAI/bge-small-en-v1.5"]) } },
      "1.8.3",
    ],
    [
      "torchserve",
      {
        "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping": {
          hex: messageOf([1, '{\n  "status": "Healthy"\n}\n']),
        },
      },
      undefined,
    ],
    [
      "tensorflow-serving",
      { "/tensorflow.serving.ModelService/GetModelStatus": { status: 3, message: "Missing ModelSpec" } },
      undefined,
    ],
    ["ray-serve", { "/ray.serve.RayServeAPIService/Healthz": { hex: messageOf([1, "success"]) } }, undefined],
    [
      "qdrant",
      {
        "/qdrant.Qdrant/HealthCheck": {
          hex: messageOf([1, "qdrant - vector search engine"], [2, "1.15.5"]),
        },
      },
      "1.15.5",
    ],
    [
      "milvus",
      {
        "/milvus.proto.milvus.MilvusService/GetVersion": {
          hex: messageOf([1, ""], [2, "milvus_lite-3.2.2"]),
        },
      },
      "3.2.2",
    ],
  ] as [string, Answers, string | undefined][])("names %s", async (id, answers, version) => {
    const found = await ask(await serve(answers));
    expect(found.judgement.winner?.entry.id).toBe(id);
    expect(found.version).toBe(version!);
  });

  test("keeps a limited part of an endless list", async () => {
    const items = Array.from({ length: 4000 }, (_, at): [number, Buffer] => [
      1,
      encode([
        [1, `m${at}`],
        [3, "READY"],
      ]),
    ]);
    const port = await serve({
      [METADATA]: metadata("triton", "2.51.0"),
      [INDEX]: { hex: messageOf(...items) },
    });
    const found = await ask(port);
    expect(found.models).toHaveLength(64);
    expect(found.models[63]).toEqual({ name: "m63", loaded: true });
  });

  test("lists the models of vLLM by their served name", async () => {
    const service = "/vllm.grpc.engine.VllmEngine";
    const found = await ask(
      await serve({
        [`${service}/GetServerInfo`]: { hex: messageOf([5, "vllm-grpc"]) },
        [`${service}/GetModelInfo`]: { hex: messageOf([1, "/models/q"], [6, "Qwen/Qwen3-8B"]) },
      }),
    );
    expect(found).toMatchObject({ auth: "open", models: [{ name: "Qwen/Qwen3-8B", loaded: true }] });
  });

  test("detects that a credential is required", async () => {
    const found = await ask(
      await serve({
        [METADATA]: metadata("triton", "2.51.0"),
        [INDEX]: { status: 16, message: "missing key" },
      }),
    );
    expect(found).toMatchObject({ auth: "required", models: [] });
  });

  test.each([
    ["a plain health service", { "/grpc.health.v1.Health/Check": { hex: "0801" } }],
    ["a server that has the method and says nothing", { [METADATA]: { hex: "" } }],
    ["a server that answers with no message", { [METADATA]: { hex: "ffff" } }],
    ["a server that refuses everybody", { [METADATA]: { status: 16, message: "who are you" } }],
    [
      "an error of the same number with other words",
      { "/tensorflow.serving.ModelService/GetModelStatus": { status: 3, message: "Model spec is missing" } },
    ],
  ] as [string, Answers][])("names nothing for %s, and does not probe it again", async (_, answers) => {
    const found = await ask(await serve(answers));
    expect(found.judgement.winner).toBeUndefined();
    expect(found).toMatchObject({ settled: true, models: [] });
    expect(found.shape).toBeUndefined();
    expect(found.rest).toBeUndefined();
  });
});

describe("fingerprint() of a server that supports only HTTP/2", () => {
  test("probes it with GET", async () => {
    const { createServer } = await import("node:http2");
    const server = createServer((request, response) => {
      const isRoot = request.method === "GET" && request.url === "/";
      response.writeHead(isRoot ? 200 : 404, { "content-type": "text/plain" });
      response.end(isRoot ? "Ollama is running" : "404 page not found");
    });
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
    });
    try {
      const found = await ask(port);
      expect(found.judgement.winner?.entry.id).toBe("ollama");
      expect(found.target).toMatchObject({ http2: true, tls: false });
      expect(found.grpc).toBeUndefined();
    } finally {
      server.close();
    }
  });
});
