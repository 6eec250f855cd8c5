import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { parseCutJson } from "../../../../agent/catalogue/cut-json.ts";
import { catalogue, catalogueVersion } from "../../../../agent/catalogue/engines/list.ts";
import { type CatalogEntry, catalogEntry } from "../../../../agent/catalogue/entry.ts";
import { MODELS_PATH } from "../../../../agent/catalogue/judge.ts";
import { findCandidates } from "../../../../agent/scan/identify/find-candidates.ts";
import { createIdentify, probeOf } from "../../../../agent/scan/identify/fixtures.ts";
import { createClaimsOf } from "../../../../agent/scan/identify/process-claims.ts";
import { fingerprint } from "../../../../agent/scan/probe/fingerprint.ts";
import type { Probe } from "../../../../agent/scan/probe/probe.ts";
import { FINGERPRINT_LIMITS } from "../../../../agent/scan/probe/probe-session.ts";
import type { ProcessFacts } from "../../../../agent/scan/system/host.ts";
import { ORDINARY } from "./catalog-ordinary.ts";
import { answerOf } from "./fixture-answers.ts";

const directory = new URL("../../../../agent/catalogue/engines/", import.meta.url).pathname;
const MACHINERY = new Set(["list.ts"]);
const identify = createIdentify(catalogue);
const byId = new Map(catalogue.map((entry) => [entry.id, entry]));

describe("catalogue", () => {
  test("list.ts names every product file of the directory, once", () => {
    const files = readdirSync(directory).filter((name) => name.endsWith(".ts") && !MACHINERY.has(name));
    expect(catalogue.map(({ id }) => `${id}.ts`).sort()).toEqual(files.sort());
  });

  test("catalogueVersion is a date that sorts", () => {
    expect(catalogueVersion).toMatch(/^\d{4}\.\d{2}\.\d{2}(?:\.\d+)?$/);
  });

  test("an entry is pure data: it survives JSON unchanged", () => {
    expect(JSON.parse(JSON.stringify(catalogue))).toEqual(catalogue as unknown as object);
  });

  test.each(catalogue.map((entry) => [entry.id, entry] as const))("%s fits the schema", (id, entry) => {
    const parsed = catalogEntry.safeParse(entry);
    expect(parsed.error?.issues ?? []).toEqual([]);
    for (const other of [...(entry.impersonates ?? []), ...(entry.absorbs ?? [])]) {
      expect([...byId.keys(), "unknown-weights", "openai-compatible"]).toContain(other);
      expect(other === id && entry.impersonates?.includes(id)).toBe(false);
    }
  });

  test("every product has a trait, a library, a path or a command line", () => {
    const blind = catalogue.filter(
      ({ traits, libraries, binaries, commands }: CatalogEntry) =>
        traits.every(({ weight }) => weight === "hint") && !libraries && !binaries && !commands,
    );
    expect(blind.map(({ id }) => id)).toEqual([]);
  });

  test("every fixture states its source: a run, code, documentation, a lead, or made up", () => {
    const kinds = /^(?:recorded from|code:|documented:|lead:|made up:) \S/;
    const fixtures = catalogue.flatMap(({ id, fixtures: { positive, negative } }) =>
      [...positive, ...negative].map(({ source }) => ({ id, source })),
    );
    expect([...fixtures, ...ORDINARY].filter(({ source }) => !kinds.test(source))).toEqual([]);
    const invented = catalogue.filter(({ fixtures: { positive } }) =>
      positive.some(({ source }) => source.startsWith("made up:")),
    );
    expect(invented.map(({ id }) => id)).toEqual([]);
  });

  test.each(ORDINARY.map((fixture) => [fixture.name, fixture.source, fixture] as const))(
    "finds nothing in %s (%s)",
    async (_name, _source, fixture) => {
      expect(await identify(fixture)).toEqual([]);
    },
  );

  describe.each(catalogue.map((entry) => [entry.id, entry] as const))("%s", (id, entry) => {
    test.each(entry.fixtures.positive.map((fixture, at) => [at, fixture.source, fixture] as const))(
      "positive fixture %d is this product and no other (%s)",
      async (_at, _source, fixture) => {
        expect(await identify(fixture)).toEqual([id]);
      },
    );

    test.each(entry.fixtures.negative.map((fixture, at) => [at, fixture.source, fixture] as const))(
      "negative fixture %d is not this product (%s)",
      async (_at, _source, fixture) => {
        expect(await identify(fixture)).not.toContain(id);
      },
    );
  });

  test("every identifying trait matches a positive fixture of its product", async () => {
    // A trait without a fixture is a guess. Only a hint is allowed to have no fixture.
    const { judge } = await import("../../../../agent/catalogue/judge.ts");
    const { examine } = await import("../../../../agent/catalogue/match.ts");
    const unseen: string[] = [];
    for (const entry of catalogue) {
      const seen = new Set<unknown>();
      for (const fixture of entry.fixtures.positive) {
        const probe = probeOf(fixture);
        const answers = new Map();
        for (const path of Object.keys(fixture.answers ?? {})) {
          answers.set(path, examine(answerOf(await probe({ address: "", port: 1, tls: false }, path))));
        }
        const { winner } = judge([entry], answers);
        for (const trait of winner?.traits ?? []) seen.add(trait);
      }
      for (const trait of entry.traits) {
        if (trait.weight !== "hint" && !seen.has(trait))
          unseen.push(`${entry.id} ${trait.path}: ${trait.says}`);
      }
    }
    expect(unseen).toEqual([]);
  });
});

describe("fingerprint()", () => {
  test("requests no path twice, and not /health or /metrics of a server that its front page identifies", async () => {
    const asked: string[] = [];
    const litellm = byId.get("litellm")!;
    const deps = { probe: probeOf(litellm.fixtures.positive[0]!, asked), catalogue, elapsed: () => 0 };
    await fingerprint(deps, { address: "127.0.0.1", port: 4000 }, new Set(["litellm"]));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).not.toContain("/health");
    expect(asked).not.toContain("/metrics");
  });

  test.each([
    ["six things at once of a server that answered quickly", FINGERPRINT_LIMITS.QUICK_MS, 6],
    ["four things at once of one that took a moment longer", FINGERPRINT_LIMITS.QUICK_MS + 1, 4],
  ])("asks %s", async (_, tookMs, expected) => {
    let nowMs = 0;
    let asking = 0;
    let most = 0;
    const probe = async () => {
      asking += 1;
      most = Math.max(most, asking);
      await Promise.resolve();
      if (asking === 1) nowMs += tookMs;
      asking -= 1;
      return { status: 404, headers: {}, body: "" };
    };
    await fingerprint(
      { probe, catalogue, elapsed: () => nowMs },
      { address: "127.0.0.1", port: 1 },
      new Set(),
    );
    expect(most).toBe(expected);
  });

  test("completes with a server that queues only six connections", async () => {
    const asked: string[] = [];
    let asking = 0;
    const probe = async (_: unknown, path: string): ReturnType<Probe> => {
      asking += 1;
      const isDropped = asking > 6;
      await Promise.resolve();
      asking -= 1;
      if (isDropped) return { failed: "silent" };
      asked.push(path);
      return { status: 404, headers: {}, body: "" };
    };
    const deps = { probe, catalogue, elapsed: () => 0 };
    const found = await fingerprint(deps, { address: "127.0.0.1", port: 1 }, new Set());
    expect(found.settled).toBe(true);
    expect(asked).toContain("/metrics");
  });

  test("sends four requests in parallel after a timeout", async () => {
    let asking = 0;
    let most = 0;
    const probe = async (_: unknown, path: string): ReturnType<Probe> => {
      asking += 1;
      most = Math.max(most, asking);
      await Promise.resolve();
      asking -= 1;
      return path === MODELS_PATH ? { failed: "silent" } : { status: 404, headers: {}, body: "" };
    };
    const deps = { probe, catalogue, elapsed: () => 0 };
    await fingerprint(deps, { address: "127.0.0.1", port: 1 }, new Set());
    expect(most).toBe(4);
  });
});

describe("parseCutJson()", () => {
  test.each([
    ['{"a":1,"b":[2,3', { a: 1, b: [2] }],
    [
      '{"info":{"title":"opencode","version":"1.0.0"},"paths":{"/auth',
      { info: { title: "opencode", version: "1.0.0" } },
    ],
    ['[{"name":"a"},{"na', [{ name: "a" }]],
    ['{"a":"quote \\" and , inside","b":"cut', { a: 'quote " and , inside' }],
    ['{"a":{"b":{"c":1}', { a: { b: { c: 1 } } }],
    ['{"a":1}', { a: 1 }],
    ['{"a":[[1,2],[{"b":3}],{"c', { a: [[1, 2], [{ b: 3 }]] }],
  ])("reads what is whole of %s", (text, value) => {
    expect(parseCutJson(text)).toEqual(value);
  });

  test.each(['{"a', "{", "[", '{"a":"b', "{oops, not JSON", '{"a":1}}, trailing', "[1,,2]"])(
    "is undefined for %s, of which nothing can be read",
    (text) => {
      expect(parseCutJson(text)).toBeUndefined();
    },
  );
});

describe("an unknown OpenAI-compatible server", () => {
  const listing = (...data: object[]) => ({ "/v1/models": { body: { object: "list", data } } });
  const refusal = {
    status: 401,
    body: { error: { message: "Invalid API key", type: "invalid_request_error" } },
  };

  test.each([
    ["whose models have an owner", listing({ id: "m", object: "model", owned_by: "me" })],
    ["whose models have a time", listing({ id: "m", object: "model", created: 1 })],
    ["without a model", listing()],
    ["that refuses its API alone", { "/v1/models": refusal, "/": { body: "hello" } }],
  ])("%s is one", async (_what, answers) => {
    expect(await identify({ source: "made up", answers })).toEqual(["openai-compatible"]);
  });

  test.each([
    ["whose models have neither", listing({ id: "m", object: "model", price: 3 })],
    ["whose list is of something else", listing({ id: "m", object: "car", created: 1 })],
    ["that refuses its front page in these words", { "/v1/models": refusal, "/": refusal }],
    ["that refuses in other words", { "/v1/models": { status: 401, body: { error: { type: "nope" } } } }],
  ])("%s is none", async (_what, answers) => {
    expect(await identify({ source: "made up", answers })).toEqual([]);
  });
});

describe("authentication of a server", () => {
  type Answers = NonNullable<Parameters<typeof probeOf>[0]["answers"]>;
  const authOf = async (answers: Answers) => {
    const probe = probeOf({ source: "made up", answers });
    const where = { address: "127.0.0.1", port: 1 };
    const { judgement, auth } = await fingerprint({ probe, catalogue, elapsed: () => 0 }, where, new Set());
    return [judgement.winner?.entry.id, auth];
  };
  const refused = { status: 401, body: "" };
  const jsonRpc = (status: number) => {
    const error = { code: -32600, message: "Bad Request: Missing session ID" };
    return { status, body: { jsonrpc: "2.0", id: null, error } };
  };
  const manifest = { body: { name: "OpenCode", short_name: "OpenCode" } };
  const ccr = { "/": { body: { message: "LLMs API", version: "1.0.51" } } };
  const beat = {
    "/api/v2/heartbeat": { body: { "nanosecond heartbeat": 1 } },
    "/api/v2/version": { body: '"1.0.0"' },
  };
  const ray = { "/api/version": { body: { version: "4", ray_version: "2.60.0", ray_commit: "b7f4" } } };
  const page = { body: "<!doctype html><title>App</title>" };
  const lightrag = {
    "/auth-status": { body: { core_version: "1.5.7", api_version: "0344", auth_configured: false } },
  };
  const openclaw = { "/": { body: "<title>OpenClaw Control</title>" } };
  const litellm = { "/": { body: "<title>LiteLLM API - Swagger UI</title>" } };
  const plain = { "content-type": "text/plain; charset=utf-8" };
  const json = { "content-type": "application/json" };
  const gradio = { "/": { body: "<script>window.gradio_config = {" } };
  const chainlit = {
    "/": { body: '<meta property="og:url" content="https://github.com/Chainlit/chainlit">' },
  };
  const tornado = { headers: { server: "TornadoServer/6.6.1" } };

  test.each<[string, string, Answers]>([
    ["opencode", "open", { "/site.webmanifest": manifest, "/global/health": { body: { healthy: true } } }],
    ["opencode", "required", { "/site.webmanifest": manifest, "/": refused, "/doc": refused }],
    ["opencode", "unknown", { "/site.webmanifest": manifest, "/global/health": page, "/v1/models": page }],
    [
      "claude-code-router",
      "open",
      {
        ...ccr,
        "/v1/models": {
          status: 404,
          headers: { "access-control-allow-origin": "http://localhost:3456" },
          body: {},
        },
      },
    ],
    [
      "claude-code-router",
      "unknown",
      { ...ccr, "/v1/models": { status: 404, headers: { "access-control-allow-origin": "*" }, body: {} } },
    ],
    ["claude-code-router", "required", { ...ccr, "/v1/models": { status: 401, body: "APIKEY is missing" } }],
    [
      "chroma",
      "open",
      {
        ...beat,
        "/api/v2/auth/identity": {
          body: { user_id: "", tenant: "default_tenant", databases: ["default_database"] },
        },
      },
    ],
    [
      "chroma",
      "required",
      { ...beat, "/api/v2/auth/identity": { status: 403, body: { error: "AuthError" } } },
    ],
    ["chroma", "unknown", beat],
    ["mcp-http", "open", { "/mcp": jsonRpc(400) }],
    ["mcp-http", "open", { "/mcp": { headers: { "content-type": "text/event-stream" } } }],
    [
      "mcp-http",
      "required",
      { "/mcp": { status: 401, headers: { "www-authenticate": 'Bearer resource_metadata="https://a/b"' } } },
    ],
    [
      "ray-serve",
      "open",
      { ...ray, "/api/serve/applications/": { body: { controller_info: {}, applications: {} } } },
    ],
    ["ray-serve", "required", { ...ray, "/api/serve/applications/": refused }],
    [
      "gradio",
      "open",
      { ...gradio, "/config": { body: { version: "6.31.0", components: [{ id: 1, type: "state" }] } } },
    ],
    ["gradio", "required", { ...gradio, "/config": refused }],
    ["gradio", "unknown", gradio],
    ["chainlit", "open", { ...chainlit, "/project/settings": { body: { features: {}, userEnv: [] } } }],
    ["chainlit", "required", { ...chainlit, "/project/settings": refused }],
    ["mlflow", "open", { "/": { body: '<title>MLflow</title><div class="mlflow-ui-container">' } }],
    [
      "mlflow",
      "required",
      { "/": { status: 401, body: "See https://mlflow.org/docs/#authenticating-to-mlflow" } },
    ],
    [
      "jupyter-ai",
      "open",
      { "/api/ai/providers": { ...tornado, body: { providers: [{ id: "a", models: [] }] } } },
    ],
    [
      "jupyter-ai",
      "required",
      { "/api/ai/providers": { ...tornado, status: 403, body: { message: "Forbidden" } } },
    ],
    [
      "jupyter-ai",
      "unknown",
      { "/api/ai/personas/cancel": { ...tornado, status: 405, body: "<title>Jupyter Server</title>" } },
    ],
    [
      "lightrag",
      "required",
      { ...lightrag, "/documents/pipeline_status": { status: 403, body: { detail: "API Key required" } } },
    ],
    [
      "lightrag",
      "open",
      { ...lightrag, "/documents/pipeline_status": { body: { autoscanned: false, busy: false } } },
    ],
    ["lightrag", "unknown", lightrag],
    [
      "openclaw",
      "required",
      { ...openclaw, "/control-ui-config.json": { status: 401, body: { error: { type: "unauthorized" } } } },
    ],
    [
      "openclaw",
      "open",
      { ...openclaw, "/control-ui-config.json": { body: { basePath: "", assistantName: "Assistant" } } },
    ],
    ["openclaw", "unknown", { ...openclaw, "/control-ui-config.json": page }],
    [
      "litellm",
      "required",
      { ...litellm, "/v1/models": { status: 401, body: { error: { type: "auth_error" } } } },
    ],
    [
      "litellm",
      "required",
      { ...litellm, "/v1/models": { status: 500, headers: plain, body: "Internal Server Error" } },
    ],
    ["litellm", "unknown", { ...litellm, "/v1/models": { status: 500, headers: json, body: { error: {} } } }],
    ["litellm", "open", { ...litellm, "/v1/models": { body: { object: "list", data: [] } } }],
    [
      "ray-serve",
      "required",
      {
        ...ray,
        "/api/serve/applications/": { status: 401, body: "Unauthorized: Missing authentication token" },
      },
    ],
    // A server that returns an HTML page for every path has no model list.
    ["ray-serve", "unknown", { ...ray, "/v1/models": page }],
  ])("%s: %s", async (id, auth, answers) => {
    expect(await authOf(answers)).toEqual([id, auth]);
  });
});

describe("fingerprint() of recorded responses", () => {
  test.each([
    ["bentoml", "1.4.39"],
    ["chroma", "1.0.0"],
    ["langflow", "1.13.0"],
    ["open-webui", "0.12.4"],
    ["opencode", "1.18.33"],
    ["ray-serve", "2.60.0"],
    ["sillytavern", "1.19.0"],
  ])("reads the version of %s: %s", async (id, version) => {
    const fixture = byId.get(id)!.fixtures.positive.find(({ source }) => source.startsWith("recorded"))!;
    const deps = { probe: probeOf(fixture), catalogue, elapsed: () => 0 };
    const found = await fingerprint(deps, { address: "127.0.0.1", port: 1 }, new Set());
    expect(found).toMatchObject({ judgement: { winner: { entry: { id } } }, version });
  });

  test.each(["0.0.0", "0.0.0-dev", "v0.0.0", "0.0.0+unknown"])("takes %s for no version", async (version) => {
    const answers = { "/": { body: "Ollama is running" }, "/api/version": { body: { version } } };
    const probe = probeOf({ source: "made up", answers });
    const found = await fingerprint(
      { probe, catalogue, elapsed: () => 0 },
      { address: "127.0.0.1", port: 1 },
      new Set(),
    );
    expect(found.judgement.winner?.entry.id).toBe("ollama");
    expect(found).not.toHaveProperty("version");
  });

  test("distinguishes LM Studio's models in memory from models on disk", async () => {
    const fixture = byId.get("lm-studio")!.fixtures.positive[0]!;
    const deps = { probe: probeOf(fixture), catalogue, elapsed: () => 0 };
    const { models } = await fingerprint(deps, { address: "127.0.0.1", port: 1 }, new Set());
    expect(models).toMatchObject([
      { name: "google/gemma-4-26b-a4b", loaded: true, parameters: "26B-A4B", quantisation: "Q4_K_M" },
    ]);
  });
});

describe("findCandidates() of products that are several processes", () => {
  const claimsOf = createClaimsOf(catalogue);
  const reported = (
    processes: readonly Pick<ProcessFacts, "pid" | "parentPid" | "executable" | "argv">[],
  ) => {
    const facts = processes.map((one) => ({ key: String(one.pid), name: "x", ...one }));
    return findCandidates({
      snapshot: {
        processes: new Map(facts.map((one) => [one.pid, one])),
        listeners: [],
        weights: new Map(),
        libraries: new Map(),
        gpu: new Map(),
        collectors: [],
      },
      catalogue: byId,
      heard: [],
      claims: new Map(facts.map((one) => [one.pid, claimsOf(one, [])])),
      selfPid: 1,
    }).map(({ id, root, members }) => ({ id, pid: root.pid, members: members.length }));
  };
  const ray = "/venv/lib/python3.11/site-packages/ray/core/src/ray";

  test("reports Ray once, with raylet and store as children of `ray start`", () => {
    expect(
      reported([
        {
          pid: 10,
          parentPid: 2,
          executable: "/usr/bin/python3.11",
          argv: ["python", "/venv/bin/ray", "start", "--head"],
        },
        { pid: 11, parentPid: 10, executable: `${ray}/gcs/gcs_server`, argv: ["gcs_server"] },
        { pid: 12, parentPid: 10, executable: `${ray}/raylet/raylet`, argv: ["raylet"] },
      ]),
    ).toEqual([{ id: "ray-serve", pid: 10, members: 3 }]);
  });

  test("reports the raylet of a host that only joined a cluster", () => {
    expect(
      reported([{ pid: 12, parentPid: 2, executable: `${ray}/raylet/raylet`, argv: ["raylet"] }]),
    ).toEqual([{ id: "ray-serve", pid: 12, members: 1 }]);
  });

  test("reports nothing for another program with the argument start", () => {
    expect(
      reported([{ pid: 10, parentPid: 2, executable: "/usr/bin/xray", argv: ["xray", "start"] }]),
    ).toEqual([]);
    expect(
      reported([
        { pid: 10, parentPid: 2, executable: "/usr/bin/node", argv: ["node", "/srv/bin/gemini-mail"] },
      ]),
    ).toEqual([]);
  });

  const running = (executable: string, argv: string[]) =>
    reported([{ pid: 10, parentPid: 2, executable, argv }]).map(({ id }) => id);

  test.each([
    ["/usr/bin/ssh", ["ssh", "gpu-box", "vllm serve Qwen/Qwen3-8B"]],
    ["/usr/bin/kubectl", ["kubectl", "exec", "pod", "--", "/usr/bin/ollama", "serve"]],
    ["/usr/bin/docker", ["docker", "run", "x", "python", "-m", "vllm.entrypoints.openai.api_server"]],
    ["/usr/bin/vim", ["vim", "/srv/ComfyUI/main.py"]],
    ["/usr/bin/less", ["less", "notes/@openai/codex/README.md"]],
    ["/usr/bin/wget", ["wget", "https://example.test/x.powerinfer.gguf"]],
    ["/usr/bin/tmux", ["tmux", "new-session", "-d", "sglang serve"]],
    ["/usr/bin/bash", ["bash", "-c", "ollama serve; true"]],
    ["/usr/bin/git", ["git", "commit", "-m", "document /bin/ollama serve"]],
    ["/usr/bin/python3.11", ["python3", "/usr/bin/ansible", "all", "-a", "vllm serve m"]],
    ["/usr/bin/python3.11", ["python3", "-X", "dev", "notify.py", "vllm", "serve"]],
    ["/usr/bin/python3.11", ["python3", "-c", "print('vllm serve')"]],
    ["/usr/bin/node", ["node", "/usr/bin/eslint", "/srv/node_modules/cline/x.js"]],
    ["/usr/share/code/code", ["/usr/share/code/code", "/srv/ComfyUI/main.py"]],
  ])("reports nothing for %s, which only names a product: %j", (executable, argv) => {
    expect(running(executable, argv)).toEqual([]);
  });

  const editor = "/usr/share/code/code";
  test.each([
    ["/usr/bin/python3.11", ["python3", "/venv/bin/vllm", "serve", "Qwen/Qwen3-8B"], "vllm"],
    [
      "/usr/bin/python3.11",
      ["python3", "-X", "dev", "-u", "-m", "vllm.entrypoints.openai.api_server"],
      "vllm",
    ],
    [
      "/usr/bin/python3.11",
      ["python3", "/venv/bin/uvicorn", "--port", "8080", "open_webui.main:app"],
      "open-webui",
    ],
    ["/usr/bin/python3.11", ["gunicorn: master [litellm.proxy.proxy_server:app]"], "litellm"],
    ["/opt/dotnet/dotnet", ["dotnet", "src/bin/live_release/SwarmUI.dll"], "swarmui"],
    [
      editor,
      [
        editor,
        "--ms-enable-electron-run-as-node",
        "/ada/.vscode/extensions/saoudrizwan.claude-dev-3.35.0/dist/server.js",
      ],
      "cline-roo",
    ],
    ["/home/ada/x/server", ["./server", "-m", "x.powerinfer.gguf"], "powerinfer"],
    ["/opt/Our Apps/ollama", ["/opt/Our", "Apps/ollama", "serve"], "ollama"],
  ])("reports %s, which runs it: %j", (executable, argv, id) => {
    expect(running(executable, argv)).toEqual([id]);
  });
});
