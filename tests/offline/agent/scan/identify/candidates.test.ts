import { describe, expect, test } from "bun:test";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import {
  type Candidate,
  type Facts,
  isCertain,
  UNREADABLE_PID,
} from "../../../../../agent/scan/identify/candidate.ts";
import {
  confidenceOf,
  evidenceOf,
  REPORT_THRESHOLD,
  WEIGHTS,
  weighed,
} from "../../../../../agent/scan/identify/confidence.ts";
import { findCandidates } from "../../../../../agent/scan/identify/find-candidates.ts";
import { createClaimsOf, isRenamed, namesOf } from "../../../../../agent/scan/identify/process-claims.ts";
import { shortened, toEngine } from "../../../../../agent/scan/identify/to-engine.ts";
import { dockerTarget } from "../../../../../agent/scan/network/port-forwarders.ts";
import type { Fingerprint } from "../../../../../agent/scan/probe/fingerprint.ts";
import type { Heard } from "../../../../../agent/scan/probe/probe-listeners.ts";
import {
  type Forward,
  isTcp,
  type Listener,
  type ProcessFacts,
  type WeightFile,
} from "../../../../../agent/scan/system/host.ts";
import { engine, SIGNALS } from "../../../../../shared/wire/heartbeat.ts";

const byId = new Map(catalogue.map((entry) => [entry.id, entry]));
const claimsOf = createClaimsOf(catalogue);
const portOf = ({ listener }: Heard): number | undefined => (isTcp(listener) ? listener.port : undefined);
const GGUF: WeightFile = { path: "/m/a.dat", format: "gguf", sizeBytes: 1, how: "mapped" };

type Given = Partial<ProcessFacts> & {
  pid: number;
  weights?: WeightFile[];
  gpu?: boolean | "computes";
  libraries?: string[];
};

/** Runs the detection on a host with these processes. The given products respond on the given ports. */
function find(
  given: Given[],
  answering: {
    pid?: number;
    port: number;
    product?: string;
    shape?: string;
    uid?: number;
    network?: string;
    reachableAt?: string;
    tls?: boolean;
    /** `hints`: products of which only weak traits were found. `runnersUp`: products that match less well. */
    hints?: string[];
    runnersUp?: string[];
  }[],
  forwards: Record<number, Forward> = {},
  /** Sockets that were not probed or did not respond. */
  quiet: Listener[] = [],
  lasting: ReadonlySet<string> = new Set(),
) {
  const processes = new Map<number, ProcessFacts>();
  for (const { pid, weights: _, gpu: __, libraries: ___, ...rest } of given) {
    processes.set(pid, { pid, parentPid: 1, key: `${pid}`, name: "app", argv: [], ...rest });
  }
  const heard: Heard[] = answering.map((one) => {
    const {
      pid,
      port,
      product,
      shape,
      uid,
      network,
      reachableAt = "127.0.0.1",
      tls = false,
      hints = [],
      runnersUp = [],
    } = one;
    const trait = { path: "/", weight: "identity", says: "it names itself" } as const;
    const fits = (ids: string[]) => ids.map((id) => ({ entry: byId.get(id)!, traits: [trait] }));
    const entry = product === undefined ? undefined : byId.get(product)!;
    const fingerprint: Fingerprint = {
      target: { address: "127.0.0.1", port, tls },
      judgement: {
        ...(entry && { winner: { entry, traits: [trait] } }),
        runnersUp: fits(runnersUp),
        hints: fits(hints),
      },
      auth: "open",
      models: [],
      settled: true,
      ...(shape !== undefined && { shape }),
    };
    const listener = { key: `${pid}:${port}`, address: "127.0.0.1", port, reachableAt };
    return {
      listener: {
        ...listener,
        ...(pid !== undefined && { pid }),
        ...(uid !== undefined && { uid }),
        ...(network !== undefined && { network }),
      },
      fingerprint,
    };
  });
  const libraries = new Map(
    given.flatMap(({ pid, libraries: paths }) => (paths ? [[pid, paths] as const] : [])),
  );
  const facts: Facts = {
    snapshot: {
      processes,
      listeners: [...heard.map(({ listener }) => listener).filter(isTcp), ...quiet],
      weights: new Map(given.flatMap(({ pid, weights }) => (weights ? [[pid, weights] as const] : []))),
      libraries,
      gpu: new Map(
        given.flatMap(({ pid, gpu }) =>
          gpu ? [[pid, { bytes: 1e9, ...(gpu === "computes" && { computes: true }) }] as const] : [],
        ),
      ),
      forwards: new Map(Object.entries(forwards).map(([pid, forward]) => [Number(pid), forward])),
      collectors: [],
    },
    catalogue: byId,
    heard,
    claims: new Map(
      [...processes.values()].map((one) => [one.pid, claimsOf(one, libraries.get(one.pid) ?? [])]),
    ),
    selfPid: 99,
    lasting,
  };
  return findCandidates(facts);
}

const NOTHING_MORE = {
  snapshot: {
    processes: new Map(),
    listeners: [],
    weights: new Map(),
    libraries: new Map(),
    gpu: new Map(),
    collectors: [],
  },
  peers: new Map(),
  selfPid: 99,
  homes: [],
  atRest: [],
};
const summary = (candidates: readonly Candidate[]) => candidates.map(({ id, root }) => `${id}@${root.pid}`);
const ollama = { name: "ollama", executable: "/usr/local/bin/ollama" };

describe("confidence", () => {
  test("the strongest weights of the signals decrease in the order of the heartbeat schema", () => {
    const strongest = SIGNALS.map((signal) =>
      Math.max(...Object.values(WEIGHTS).flatMap((one) => (one.signal === signal ? [one.weight] : []))),
    );
    expect(strongest).toEqual([...strongest].sort((a, b) => b - a));
  });

  test("a name, a port, a hint and a shared library together stay below the threshold", () => {
    const weak = (["name", "port", "httpHint", "libraryShared"] as const).map((name) =>
      evidenceOf(name, name),
    );
    expect(confidenceOf(weak)).toBeLessThan(REPORT_THRESHOLD);
    expect(confidenceOf([...weak, ...weak, ...weak])).toBe(confidenceOf(weak));
  });

  test("is capped at 100 and explained by the evidence", () => {
    const all = Object.keys(WEIGHTS).map((name) => evidenceOf(name as keyof typeof WEIGHTS, name));
    expect(confidenceOf(all)).toBe(100);
    const sum = weighed(all).reduce((total, { weight }) => total + weight, 0);
    expect(sum).toBe(90 + 80 + 70 + 65 + 60 + 50 + 15 + 10);
  });
});

describe("findCandidates()", () => {
  test("does not report a process for its name or port alone", () => {
    expect(find([{ pid: 10, ...ollama }], [{ pid: 10, port: 11_434 }])).toEqual([]);
    expect(find([{ pid: 10, name: "llama-backup", executable: "/usr/bin/llama-backup" }], [])).toEqual([]);
    expect(find([{ pid: 10, name: "bash", user: "jan", argv: ["bash", "/home/jan/run.sh"] }], [])).toEqual(
      [],
    );
  });

  test("includes every port of a process that is the product itself", () => {
    const torchserve = {
      pid: 10,
      executable: "/usr/lib/jvm/java-17/bin/java",
      argv: ["java", "org.pytorch.serve.ModelServer"],
    };
    const [one, ...others] = find(
      [torchserve],
      [
        { pid: 10, port: 8081, product: "torchserve" },
        { pid: 10, port: 8080 },
      ],
    );
    expect(one!.heard.map(portOf)).toEqual([8081, 8080]);
    expect(others).toEqual([]);
  });

  test("excludes ports of a web server on which it serves something else", () => {
    const [one, ...others] = find(
      [{ pid: 10, name: "nginx", executable: "/usr/sbin/nginx", argv: ["nginx"] }],
      [
        { pid: 10, port: 8081, product: "torchserve" },
        { pid: 10, port: 8080 },
      ],
    );
    expect(one!.heard.map(portOf)).toEqual([8081]);
    expect(others).toEqual([]);
  });

  test.each([
    ["/usr/sbin/nginx", "nginx", undefined],
    ["/usr/bin/ssh", "ssh", undefined],
    ["C:\\Windows\\System32\\OpenSSH\\SSH.EXE", "ssh", undefined],
    ["/tmp/nginx", "nginx", true],
    ["/opt/helper", "helper", true],
    ["/opt/nginx-helper", "nginx-helper", true],
  ])("%s that responds like Ollama: whether it is Ollama under another name", (executable, name, renamed) => {
    const [one] = find([{ pid: 10, name, executable }], [{ pid: 10, port: 8080, product: "ollama" }]);
    expect(toEngine(one!, NOTHING_MORE).engine.renamed).toBe(renamed);
  });

  describe("an interpreter is not a renamed engine", () => {
    type Content = NonNullable<Parameters<typeof toEngine>[1]["language"]>;
    const renamedOf = (process: Partial<ProcessFacts>, product: string, language?: Content) => {
      const [one] = find([{ pid: 10, ...process }], [{ pid: 10, port: 8080, product }]);
      return toEngine(one!, { ...NOTHING_MORE, language }).engine.renamed;
    };

    test.each([
      ["/usr/bin/node", "ollama"],
      ["/opt/venv/bin/python3.12", "mcp-http"],
      ["/usr/bin/node", "mcp-http"],
      ["/home/a/.bun/bin/bun", "lm-studio"],
      ["/usr/bin/deno", "ollama"],
      ["/usr/bin/perl", "ollama"],
      ["/usr/bin/ruby3.1", "chroma"],
      ["/usr/bin/php8.2", "ollama"],
    ])("%s that responds like %s, even if its content cannot be read", (executable, product) => {
      expect(renamedOf({ executable, argv: [executable, "/srv/app/server"] }, product)).not.toBe(true);
    });

    test("for a product that does not run on the interpreter, even if the interpreter is renamed", () => {
      const process = { name: "sysupdated", executable: "/opt/sysupdated" };
      expect(renamedOf(process, "ollama", "node")).toBeUndefined();
      expect(renamedOf(process, "ollama", "none")).toBe(true);
    });

    test.each([
      ["/usr/bin/python3.12", "vllm", "python"],
      ["/opt/intel/bin/python3-intel64", "vllm", "python"],
      ["/usr/libexec/platform-python", "hayhooks", "python"],
      ["/usr/bin/nodejs-20", "sillytavern", "node"],
    ] as const)("%s that runs %s has the name of an interpreter", (executable, product, language) => {
      expect(renamedOf({ executable, argv: [executable] }, product, language)).toBe(false);
    });

    test("a program with the name of an interpreter is a renamed engine", () => {
      const process = { name: "python3", executable: "/usr/bin/python3" };
      expect(renamedOf(process, "ollama", "none")).toBe(true);
    });

    test("with a script of the product", () => {
      const argv = ["node", "/usr/lib/node_modules/.bin/litellm"];
      expect(renamedOf({ executable: "/usr/bin/node", argv }, "litellm", "node")).toBe(false);
    });
  });

  describe("a copy of the product's interpreter under another name is renamed", () => {
    const renamedOf = (executable: string, argv: string[], product: string, language: "python" | "node") => {
      const [one] = find([{ pid: 10, executable, argv }], [{ pid: 10, port: 8080, product }]);
      return toEngine(one!, { ...NOTHING_MORE, language }).engine.renamed;
    };

    test("with the product's script on its command line", () => {
      const argv = ["/venv/bin/reportd", "/venv/bin/hayhooks", "run"];
      expect(renamedOf("/venv/bin/reportd", argv, "hayhooks", "python")).toBe(true);
    });

    test("with a command line that names no product", () => {
      expect(renamedOf("/srv/mediad", ["/srv/mediad", "server.js"], "sillytavern", "node")).toBe(true);
    });

    test("unless it has the product's name", () => {
      expect(renamedOf("/opt/bin/litellm", ["litellm"], "litellm", "python")).toBe(false);
    });

    test("unless the product is a protocol, which programs of any name serve", () => {
      expect(renamedOf("/opt/calendar/helper", ["helper"], "mcp-http", "node")).toBeUndefined();
    });
  });

  test("a compiled program of any name can serve the Model Context Protocol", () => {
    const given = { pid: 10, name: "mcp-notes", executable: "/usr/local/bin/mcp-notes" };
    const [one] = find([given], [{ pid: 10, port: 8000, product: "mcp-http" }]);
    expect(toEngine(one!, { ...NOTHING_MORE, language: "none" }).engine.renamed).toBeUndefined();
  });

  describe("an MCP endpoint of a product belongs to the product", () => {
    const jupyter = { pid: 10, name: "jupyter-lab", executable: "/usr/bin/python3.12" };

    test("on another port of its process", () => {
      const [one, ...others] = find(
        [jupyter],
        [
          { pid: 10, port: 8888, product: "jupyter-ai" },
          { pid: 10, port: 3001, product: "mcp-http" },
        ],
      );
      expect(others).toEqual([]);
      expect(one).toMatchObject({ id: "jupyter-ai" });
      expect(toEngine(one!, NOTHING_MORE).engine.ports).toEqual([8888, 3001]);
      expect(one!.evidence).toContainEqual({
        signal: "http",
        weight: 0,
        detail: "GET / on http port 3001: it names itself",
      });
    });

    test("if only the command line names the product", () => {
      const argv = ["/venv/bin/python", "/venv/bin/langflow", "run"];
      const given = { pid: 10, executable: "/usr/bin/python3.12", argv };
      expect(summary(find([given], [{ pid: 10, port: 7860, product: "mcp-http" }]))).toEqual(["langflow@10"]);
    });

    test("but not behind a web server, whose backends are separate", () => {
      const nginx = { pid: 10, name: "nginx", executable: "/usr/sbin/nginx" };
      const found = find(
        [nginx],
        [
          { pid: 10, port: 8888, product: "jupyter-ai" },
          { pid: 10, port: 3001, product: "mcp-http" },
        ],
      );
      expect(summary(found)).toEqual(["jupyter-ai@10", "mcp-http@10"]);
    });

    test("an MCP endpoint of another process is a separate engine", () => {
      const found = find(
        [jupyter, { pid: 11, name: "node", executable: "/usr/bin/node" }],
        [
          { pid: 10, port: 8888, product: "jupyter-ai" },
          { pid: 11, port: 3001, product: "mcp-http" },
        ],
      );
      expect(summary(found)).toEqual(["jupyter-ai@10", "mcp-http@11"]);
    });
  });

  test("a web server with the model in its memory is a renamed engine", () => {
    const given = { pid: 10, name: "nginx", executable: "/usr/sbin/nginx" };
    for (const held of [{ weights: [GGUF] }, { libraries: ["/x/libggml.so"] }]) {
      const [one] = find([{ ...given, ...held }], [{ pid: 10, port: 8080, product: "ollama" }]);
      expect(toEngine(one!, NOTHING_MORE).engine.renamed).toBe(true);
    }
  });

  test("reports a runner of Ollama as part of Ollama, weights and port included", () => {
    const [one, ...others] = find(
      [
        { pid: 10, ...ollama, argv: ["ollama", "serve"] },
        { pid: 11, parentPid: 10, ...ollama, argv: ["ollama", "runner", "--model", "x"], weights: [GGUF] },
      ],
      [
        { pid: 10, port: 11_434, product: "ollama" },
        { pid: 11, port: 33_045, product: "llama-cpp" },
      ],
    );
    expect(others).toEqual([]);
    expect(one).toMatchObject({ id: "ollama", root: { pid: 10 }, weights: [GGUF] });
    expect(one!.heard.map(portOf)).toEqual([11_434, 33_045]);
    const noted = one!.evidence.filter(({ detail }) => detail.startsWith("child 11: GET"));
    expect(noted).toMatchObject([{ weight: 0 }]);
  });

  test("reports the child engine of an application as the application", () => {
    const jan = { name: "Jan", executable: "/Applications/Jan.app/Contents/MacOS/Jan" };
    const server = { name: "llama-server", executable: "/home/ada/jan/llama-server" };
    const given = [
      { pid: 20, ...jan },
      { pid: 21, parentPid: 20, name: "sh" },
      { pid: 22, parentPid: 21, ...server, weights: [GGUF] },
    ];
    expect(summary(find(given, [{ pid: 22, port: 4321, product: "llama-cpp" }]))).toEqual(["jan@20"]);
  });

  test("reports an engine with an unreadable owner once for all addresses, with the user", () => {
    const given = [{ pid: 25, uid: 998, user: "ollama", name: "sh" }];
    const socket = { port: 11_434, uid: 998 };
    const [one, ...others] = find(given, [
      { ...socket, product: "ollama" },
      { ...socket, product: "ollama" },
      { port: 9000, uid: 998 },
    ]);
    expect(others).toEqual([]);
    // Pid 0 belongs to the kernel. Pid 1 is init, which may be an ancestor. In kill(2), -1 stands for every
    // process.
    expect(UNREADABLE_PID).toBe(0);
    expect(one).toMatchObject({ id: "ollama", root: { pid: UNREADABLE_PID, user: "ollama" } });
    expect(one!.heard).toHaveLength(2);
    const { engine: made } = toEngine(one!, NOTHING_MORE);
    expect(made).toMatchObject({ id: "ollama", user: "ollama", ports: [11_434], parents: [] });
    for (const absent of ["pid", "executable", "renamed", "processStartedAt"])
      expect(made).not.toHaveProperty(absent);
    expect(engine.parse(made)).toEqual(made);
  });

  test("two quantisations are two models, and facts of one model are merged", () => {
    const [one] = find([{ pid: 10, ...ollama }], [{ pid: 10, port: 11_434, product: "ollama" }]);
    one!.heard[0]!.fingerprint.models.push(
      { name: "llama3", loaded: true, quantisation: "Q4_K_M" },
      { name: "phi", loaded: false },
    );
    const atRest = [
      { name: "llama3", loaded: false, quantisation: "q4_k_m", licence: "mit" },
      { name: "llama3", loaded: false, quantisation: "F16" },
      { name: "phi", loaded: false, quantisation: "Q8_0" },
    ];
    const { engine: made } = toEngine(one!, { ...NOTHING_MORE, atRest });
    expect(made.models).toEqual([
      { name: "llama3", loaded: true, quantisation: "Q4_K_M", licence: "mit" },
      { name: "llama3", loaded: false, quantisation: "F16" },
      { name: "phi", loaded: false, quantisation: "Q8_0" },
    ]);
  });

  test("adds facts from the cache only to loaded models", () => {
    const [one] = find([{ pid: 10, ...ollama }], [{ pid: 10, port: 11_434, product: "ollama" }]);
    one!.heard[0]!.fingerprint.models.push(
      { name: "Qwen/Qwen3", loaded: true, sizeBytes: 7 },
      { name: "ada/tiny", loaded: true, quantisation: "Q8_0" },
      { name: "ada/other", loaded: false },
    );
    const described = [
      { name: "Qwen/Qwen3", loaded: false, sizeBytes: 9, licence: "apache-2.0" },
      { name: "ada/tiny", loaded: false, quantisation: "Q4_K_M", licence: "mit" },
      { name: "ada/other", loaded: false, licence: "mit" },
      { name: "ada/absent", loaded: false, licence: "mit" },
    ];
    expect(toEngine(one!, { ...NOTHING_MORE, described }).engine.models).toEqual([
      { name: "Qwen/Qwen3", loaded: true, sizeBytes: 7, licence: "apache-2.0" },
      { name: "ada/tiny", loaded: true, quantisation: "Q8_0" },
      { name: "ada/other", loaded: false },
    ]);
  });

  test("keeps two engines with unreadable owners apart", () => {
    const found = find(
      [],
      [
        { port: 1, uid: 1, product: "ollama" },
        { port: 2, uid: 1, product: "vllm" },
        { port: 3, uid: 1 },
        { port: 2, uid: 1, product: "ollama", network: "net:[1]" },
      ],
    );
    expect(found.map(({ id, heard }) => `${id} ${heard.length}`).sort()).toEqual([
      "ollama 1",
      "ollama 1",
      "vllm 1",
    ]);
  });

  test("does not join an engine to the coding agent or shell that started it", () => {
    const cursor = { name: "cursor", executable: "/usr/share/cursor/cursor" };
    const given = [
      { pid: 30, ...cursor },
      { pid: 31, parentPid: 30, ...ollama },
      { pid: 32, parentPid: 30, name: "python3", weights: [GGUF] },
    ];
    const found = find(given, [{ pid: 31, port: 11_434, product: "ollama" }]);
    expect(summary(found).sort()).toEqual(["cursor@30", "ollama@31", "unknown-weights@32"]);
  });

  test("reports an unknown process with weights, with its ports", () => {
    const [one] = find(
      [{ pid: 40, name: "python3", weights: [GGUF] }],
      [{ pid: 40, port: 9, shape: "lists models" }],
    );
    expect(one).toMatchObject({ id: "unknown-weights", kind: "weights" });
    expect(one!.evidence.map(({ signal }) => signal)).toEqual(["weights", "openai-shape"]);
    expect(one!.heard).toHaveLength(1);
  });

  test.each([
    ["unknown-weights", { name: "node" }],
    ["ollama", ollama],
  ])(
    "reports the listener of %s with its address, even if it was not probed or did not respond",
    (id, process) => {
      const quiet = { key: "q", address: "0.0.0.0", port: 48_123, pid: 40 };
      const listens = (given: Given) =>
        find([given], [], {}, [quiet, { ...quiet, key: "r", pid: 41, port: 1 }]).map(
          (one) => toEngine(one, NOTHING_MORE).engine,
        );
      expect(listens({ pid: 40, ...process, weights: [GGUF] })).toMatchObject([
        { id, ports: [48_123], bind: ["0.0.0.0"], auth: "unknown" },
      ]);
    },
  );

  test("excludes ports of a proxy that were not probed", () => {
    const quiet = { key: "q", address: "0.0.0.0", port: 48_123, pid: 10 };
    const nginx = { pid: 10, name: "nginx", executable: "/usr/sbin/nginx" };
    const [one] = find([nginx], [{ pid: 10, port: 80, product: "ollama" }], {}, [quiet]);
    expect(toEngine(one!, NOTHING_MORE).engine.ports).toEqual([80]);
  });

  describe("a program that reads model files", () => {
    const OPEN: WeightFile = { ...GGUF, how: "open" };
    const told = (given: Partial<Given>, lasting: string[] = [], shape?: string) => {
      const [one] = find(
        [{ pid: 10, name: "rg", executable: "/usr/bin/rg", weights: [GGUF], ...given }],
        shape === undefined ? [] : [{ pid: 10, port: 9, shape }],
        {},
        [],
        new Set(lasting),
      );
      return [one!.name, confidenceOf(one!.evidence), isCertain(one!)];
    };
    const READS = ["Program that reads model files", 55, false];
    const HOLDS = "Unknown process with model weights";

    test("has only a file mapped for a short time or open, and is not stopped by containment", () => {
      expect(told({})).toEqual(READS);
      expect(told({ weights: [OPEN] })).toEqual(READS);
      expect(told({ weights: [GGUF, { ...GGUF, path: "/m/b.dat" }, OPEN] })).toEqual(READS);
      // A mapping that existed for long does not count if it belongs to another file or to another process.
      expect(told({}, ["10 /m/b.dat", "11 /m/a.dat"])).toEqual(READS);
    });

    test("becomes an engine when the file stays mapped", () => {
      expect(told({}, ["10 /m/a.dat"])).toEqual([HOLDS, 80, true]);
    });

    test("is an engine immediately if there is another sign", () => {
      expect(told({ gpu: true })).toEqual([HOLDS, 100, true]);
      expect(told({ libraries: ["/x/libggml-base.so.0"] })).toEqual([HOLDS, 90, true]);
      expect(told({}, [], "lists models")).toEqual([HOLDS, 100, true]);
      expect(told({ weights: [OPEN], libraries: ["/x/libtorch.so"] })).toEqual([HOLDS, 85, true]);
    });
  });

  test("includes every port of a process that holds a model, because containment blocks them", () => {
    const [one, ...others] = find(
      [{ pid: 40, name: "python3", weights: [GGUF] }],
      [
        { pid: 40, port: 5301 },
        { pid: 40, port: 5302, shape: "lists models" },
      ],
    );
    expect(others).toEqual([]);
    expect(toEngine(one!, NOTHING_MORE).engine).toMatchObject({ id: "unknown-weights", ports: [5301, 5302] });
    // A server that only has the OpenAI API is reported with the ports of that API.
    const [server] = find(
      [{ pid: 41 }],
      [
        { pid: 41, port: 5301 },
        { pid: 41, port: 5302, shape: "lists models" },
      ],
    );
    expect(toEngine(server!, NOTHING_MORE).engine).toMatchObject({ id: "openai-compatible", ports: [5302] });
  });

  test("attributes an OpenAI API by the name of the process, not by the port", () => {
    const named = { pid: 50, name: "gpt4all", executable: "/opt/gpt4all" };
    expect(summary(find([named], [{ pid: 50, port: 4891, shape: "lists models" }]))).toEqual(["gpt4all@50"]);
    expect(summary(find([{ pid: 51 }], [{ pid: 51, port: 1234, shape: "lists models" }]))).toEqual([
      "openai-compatible@51",
    ]);
  });

  test("weights in a process with the name of a user interface are not that product", () => {
    const found = find([{ pid: 60, name: "hermes", executable: "/usr/bin/hermes", weights: [GGUF] }], []);
    expect(summary(found)).toEqual(["unknown-weights@60"]);
  });

  test("counts GPU memory as evidence for a name, and reports nothing for GPU memory alone", () => {
    expect(summary(find([{ pid: 70, ...ollama, gpu: true }], []))).toEqual(["ollama@70"]);
    expect(find([{ pid: 71, name: "game", gpu: true }], [])).toEqual([]);
  });

  describe("a process that uses the GPU and has no open model file and no listener", () => {
    const python = { name: "python3", executable: "/usr/bin/python3.12" };
    const torch = ["/opt/venv/lib/python3.12/site-packages/torch/lib/libtorch_cuda.so"];

    test("is reported if it computes with an inference library", () => {
      const [one, ...others] = find([{ pid: 72, ...python, gpu: "computes", libraries: torch }], []);
      expect(others).toEqual([]);
      expect(one).toMatchObject({ id: "unknown-weights", kind: "weights", root: { pid: 72 } });
      expect(confidenceOf(one!.evidence)).toBe(WEIGHTS.gpu.weight + WEIGHTS.libraryShared.weight);
      const named = { pid: 72, name: "hermes", executable: "/usr/bin/hermes" };
      expect(summary(find([{ ...named, gpu: "computes", libraries: torch }], []))).toEqual([
        "unknown-weights@72",
      ]);
    });

    test("belongs to its parent server", () => {
      const found = find(
        [
          { pid: 72, name: "python3", executable: "/usr/bin/python3.12" },
          { pid: 73, parentPid: 72, ...python, gpu: "computes", libraries: torch },
        ],
        [{ pid: 72, port: 8000, product: "vllm" }],
      );
      expect(summary(found)).toEqual(["vllm@72"]);
      expect(found[0]!.evidence).toContainEqual(expect.objectContaining({ signal: "gpu", weight: 65 }));
    });

    test("is not reported if it also draws, like a game", () => {
      const libraries = ["/games/a/libonnxruntime.so.1"];
      expect(find([{ pid: 74, name: "game", gpu: true, libraries }], [])).toEqual([]);
    });

    test("is not reported without an inference library or without computing", () => {
      expect(find([{ pid: 75, name: "hashcat", gpu: "computes" }], [])).toEqual([]);
      expect(find([{ pid: 76, ...python, libraries: torch }], [])).toEqual([]);
    });
  });

  describe("a port forwarder", () => {
    const container = { network: "net:[2]", reachableAt: "172.17.0.2" };
    const target = { address: "172.17.0.2", port: 5000 };
    const behind = (forwards: Record<number, Forward>, there: object[]) =>
      find(
        [{ pid: 80, name: "docker-proxy" }, { pid: 81 }, { pid: 82 }],
        [
          { pid: 80, port: 11_434, product: "ollama" },
          ...there.map((one) => ({ pid: 81, port: 5000, product: "ollama", ...container, ...one })),
        ],
        forwards,
      );

    test("of Docker is attributed to the container in its command line", () => {
      const argv = ["/usr/bin/docker-proxy", "-container-ip", "172.17.0.2", "-container-port", "5000"];
      expect(dockerTarget(argv)).toEqual(target);
      const found = behind({ 80: target }, [{}]);
      expect(summary(found)).toEqual(["ollama@81"]);
      expect(found[0]!.heard.map(portOf)).toEqual([11_434, 5000]);
    });

    test("that does not belong to root is attributed to itself", () => {
      expect(summary(behind({}, [{}])).sort()).toEqual(["ollama@80", "ollama@81"]);
    });

    test.each([
      ["another port", { 80: { ...target, port: 5001 } }, {}],
      ["another address", { 80: { ...target, address: "172.17.0.3" } }, {}],
      ["an address of this host, where a user may listen,", { 80: target }, { network: undefined }],
    ])("to %s than the container's stands for itself", (_what, forwards, there) => {
      expect(summary(behind(forwards, [there])).sort()).toEqual(["ollama@80", "ollama@81"]);
    });

    test("is attributed to itself if two networks have the same address and port", () => {
      const found = behind({ 80: target }, [{}, { pid: 82, network: "net:[3]" }]);
      expect(summary(found).sort()).toEqual(["ollama@80", "ollama@81", "ollama@82"]);
    });

    test.each([
      [["-container-ip", "172.17.0.2", "-container-port", "http"]],
      [["-container-port", "5000"]],
      [["-container-ip"]],
    ])("without an address or port has no target: %p", (words) => {
      expect(dockerTarget(["docker-proxy", ...words])).toBeUndefined();
    });
  });

  test("never attributes a socket by user and name, and reports a hidden process of the same product once", () => {
    const socket = { port: 11_434, product: "ollama", uid: 997 };
    const owner = (...given: Given[]) => summary(find(given, [socket]));
    expect(owner({ pid: 90, name: "ollama", uid: 997 })).toEqual([`ollama@${UNREADABLE_PID}`]);
    const argv = ["/usr/local/bin/ollama", "serve"];
    const [one, ...others] = find([{ pid: 90, name: "ollama", uid: 997, argv }], [socket]);
    expect([summary([one!]), others]).toEqual([[`ollama@${UNREADABLE_PID}`], []]);
    expect(one!.evidence.map(({ detail }) => detail)).toContain(
      "process 90 of the same user: process name is ollama",
    );
    // A process of another user is not evidence about this socket.
    const strong = { name: "ollama", argv, libraries: ["/usr/lib/ollama/libggml.so"], weights: [GGUF] };
    expect(owner({ pid: 90, uid: 998, ...strong }).sort()).toEqual([`ollama@${UNREADABLE_PID}`, "ollama@90"]);
  });

  test("an unreadable owner is reported by its uid if no process of that user is known", () => {
    const socket = { port: 11_434, product: "ollama", uid: 998 };
    const userOf = (given: Given[]) => find(given, [socket])[0]!.root.user;
    expect(userOf([])).toBe("998");
    expect(userOf([{ pid: 25, uid: 999, user: "ada" }])).toBe("998");
    expect(userOf([{ pid: 25, uid: 998, user: "ollama" }])).toBe("ollama");
    const { uid: _, ...unknown } = socket;
    expect(find([{ pid: 25, user: "ada" }], [unknown])[0]!.root.user).toBeUndefined();
  });

  describe("a product that is built on Gradio", () => {
    const python = (argv: string[]): Given => ({ pid: 40, executable: "/usr/bin/python3.12", argv });
    const page = { pid: 40, port: 7860, product: "gradio" };

    test("is identified by its process if its page only names the framework", () => {
      const found = find([python(["python3", "/opt/Applio/app.py"])], [page]);
      expect(summary(found)).toEqual(["rvc@40"]);
      expect(toEngine(found[0]!, NOTHING_MORE).engine.ports).toEqual([7860]);
    });

    test("is Gradio if the process shows no product, or only by its name", () => {
      expect(summary(find([python(["python3", "/srv/app.py"])], [page]))).toEqual(["gradio@40"]);
      expect(summary(find([python(["python3", "/srv/bin/aphrodite"])], [page]))).toEqual(["gradio@40"]);
    });

    test("keeps products that other ports identify", () => {
      const api = { pid: 40, port: 5000, product: "text-generation-webui" };
      const found = find([python(["python3", "/opt/text-generation-webui/server.py"])], [page, api]);
      expect(summary(found)).toEqual(["text-generation-webui@40"]);
      expect(toEngine(found[0]!, NOTHING_MORE).engine.ports.toSorted()).toEqual([5000, 7860]);
    });
  });

  describe("a Ray cluster", () => {
    const SESSION = "session_2026-11-22_02-30-43_591509_16514";
    const core = "/venv/lib/python3.12/site-packages/ray/core/src/ray";
    const process = (pid: number, executable: string, session: string, more: object = {}): Given => ({
      pid,
      executable,
      argv: [executable, "--node-ip-address=10.0.0.2", `--session-dir=/tmp/ray/${session}`],
      uid: 1000,
      startedAtMs: pid,
      ...more,
    });
    const clusterOf = (session: string, from: number, more: object = {}): Given[] => [
      process(from + 1, `${core}/raylet/raylet`, session, more),
      process(from, `${core}/gcs/gcs_server`, session, more),
      process(from + 2, "/usr/bin/python3.12", session, more),
      {
        pid: from + 3,
        parentPid: from + 1,
        name: "ray::ProxyActor",
        executable: "/usr/bin/python3.12",
        uid: 1000,
      },
    ];
    const dashboard = (from: number) => ({ pid: from + 2, port: 8265, product: "ray-serve" });

    test("is one engine with all its processes and ports", () => {
      const app = { pid: 303, port: 8000, product: "vllm" };
      const found = find(clusterOf(SESSION, 300), [dashboard(300), app]);
      expect(summary(found)).toEqual(["ray-serve@300"]);
      expect(found[0]!.siblings!.map(({ pid }) => pid)).toEqual([301, 302]);
      expect(found[0]!.members.map(({ pid }) => pid).sort()).toEqual([300, 301, 302, 303]);
      expect(toEngine(found[0]!, NOTHING_MORE).engine.ports.toSorted()).toEqual([8000, 8265]);
      const details = found[0]!.evidence.map(({ detail }) => detail);
      expect(details).toContain("process 302: GET / on http port 8265: it names itself");
    });

    test("is separate from other sessions and from other users", () => {
      const other = SESSION.replace("16514", "16515");
      const two = [...clusterOf(SESSION, 300), ...clusterOf(other, 400)];
      expect(summary(find(two, [dashboard(300), dashboard(400)]))).toEqual([
        "ray-serve@300",
        "ray-serve@400",
      ]);
      const users = [...clusterOf(SESSION, 300), ...clusterOf(SESSION, 400, { uid: 1001 })];
      expect(summary(find(users, [dashboard(300), dashboard(400)]))).toEqual([
        "ray-serve@300",
        "ray-serve@400",
      ]);
    });
  });

  describe("joins a child", () => {
    const chain = (length: number): Given[] =>
      Array.from({ length }, (_, i) => ({ pid: 101 + i, parentPid: 100 + i, name: "sh" }));

    test("to its topmost ancestor of the same product, within eight generations", () => {
      for (const [between, ids] of [
        [7, ["ollama@100"]],
        [8, ["ollama@100", "ollama@200"]],
      ] as const) {
        const given = [
          { pid: 100, ...ollama },
          ...chain(between),
          { pid: 200, parentPid: 100 + between, ...ollama },
        ];
        const found = find(given, [
          { pid: 100, port: 1, product: "ollama" },
          { pid: 200, port: 2, product: "ollama" },
        ]);
        expect(summary(found).sort()).toEqual([...ids]);
      }
      const three = [100, 101, 102].map((pid, i) => ({ pid, parentPid: i === 0 ? 1 : pid - 1, ...ollama }));
      const [top, ...others] = find(
        three,
        three.map(({ pid }) => ({ pid, port: pid, product: "ollama" })),
      );
      expect([top!.root.pid, others]).toEqual([100, []]);
      expect(top!.members.map(({ pid }) => pid).sort()).toEqual([100, 101, 102]);
      expect(top!.heard.map(portOf).sort()).toEqual([100, 101, 102]);
    });

    test("not to init under any name, and not in a cycle of parents", () => {
      const init = { pid: 1, parentPid: 0, ...ollama };
      const child = { pid: 100, parentPid: 1, ...ollama };
      const answering = [
        { pid: 1, port: 1, product: "ollama" },
        { pid: 100, port: 2, product: "ollama" },
      ];
      expect(summary(find([init, child], answering)).sort()).toEqual(["ollama@1", "ollama@100"]);
      const circle = [
        { pid: 100, parentPid: 101, name: "sh" },
        { pid: 101, parentPid: 100, name: "sh" },
        { pid: 102, parentPid: 101, ...ollama },
      ];
      expect(summary(find(circle, [{ pid: 102, port: 2, product: "ollama" }]))).toEqual(["ollama@102"]);
    });

    test("of another product only to a proven product that starts such children", () => {
      const child = { pid: 101, parentPid: 100, name: "llama-server", weights: [GGUF] };
      const answers = [{ pid: 101, port: 2, product: "llama-cpp" }];
      const under = (parent: Given, port?: string) =>
        summary(
          find([parent, child], port ? [...answers, { pid: 100, port: 1, product: port }] : answers),
        ).sort();
      expect(under({ pid: 100, ...ollama }, "ollama")).toEqual(["ollama@100"]);
      // For a parent, a matching name alone is not sufficient evidence. A proxy does not hold models.
      expect(under({ pid: 100, name: "ollama" })).toEqual(["llama-cpp@101"]);
      expect(under({ pid: 100, name: "litellm" }, "litellm")).toEqual(["litellm@100", "llama-cpp@101"]);
      const other = { pid: 101, parentPid: 100, name: "vllm", weights: [GGUF] };
      const two = [
        { pid: 100, port: 1, product: "ollama" },
        { pid: 101, port: 2, product: "vllm" },
      ];
      expect(summary(find([{ pid: 100, ...ollama }, other], two)).sort()).toEqual(["ollama@100", "vllm@101"]);
    });

    test("with its weights as evidence; other evidence has no weight", () => {
      const given = [
        { pid: 100, ...ollama },
        { pid: 101, parentPid: 100, name: "llama-server", weights: [GGUF], gpu: true },
      ];
      const [one] = find(given, [
        { pid: 100, port: 1, product: "ollama" },
        { pid: 101, port: 2, product: "llama-cpp" },
      ]);
      const ofChild = one!.evidence.filter(({ detail }) => detail.startsWith("child 101: "));
      const weights = Object.fromEntries(ofChild.map(({ signal, weight }) => [signal, weight]));
      expect(weights).toMatchObject({
        http: 0,
        weights: WEIGHTS.weightsMapped.weight,
        gpu: WEIGHTS.gpu.weight,
      });
      expect([one!.weights, one!.members.map(({ pid }) => pid)]).toEqual([[GGUF], [100, 101]]);
      // Evidence from a child of the same product counts in full.
      const [same] = find(
        [given[0]!, { pid: 101, parentPid: 100, ...ollama }],
        [
          { pid: 101, port: 2, product: "ollama" },
          { pid: 100, port: 1, product: "ollama" },
        ],
      );
      const http = same!.evidence.filter(({ detail }) => detail.startsWith("child 101: GET"));
      expect(http.map(({ weight }) => weight)).toEqual([WEIGHTS.httpIdentity.weight]);
    });
  });

  describe("evidence", () => {
    const details = (one: Candidate | undefined) => one?.evidence.map(({ detail }) => detail) ?? [];

    test("shows where and over which scheme a product responded, and which others fit", () => {
      const [one] = find(
        [{ pid: 10, ...ollama }],
        [
          { pid: 10, port: 11_434, product: "ollama", runnersUp: ["vllm"] },
          { pid: 10, port: 443, product: "ollama", tls: true },
        ],
      );
      expect(details(one)).toEqual(
        expect.arrayContaining([
          "GET / on http port 11434: it names itself",
          "GET / on https port 443: it names itself",
          "http port 11434 also responds like vLLM",
          "listens on 11434, a default port of Ollama",
        ]),
      );
      expect(details(one).filter((detail) => detail.startsWith("listens on"))).toHaveLength(1);
      expect(one!.evidence.find(({ detail }) => detail.includes("also responds"))?.weight).toBe(0);
    });

    test("counts a hint only for the product that the process claims to be", () => {
      const hinting = (hints: string[]) =>
        find([{ pid: 10, ...ollama, weights: [GGUF] }], [{ pid: 10, port: 9, hints }])[0];
      expect(hinting(["ollama"])!.id).toBe("ollama");
      expect(details(hinting(["ollama"]))).toContain("GET / on port 9: it names itself");
      expect(details(hinting(["vllm"])).filter((detail) => detail.startsWith("GET"))).toEqual([]);
    });

    test("distinguishes mapped from open weights, with repository or name and header", () => {
      const header = { architecture: "llama", parameters: "8B", quantisation: "Q4_K_M" };
      const told = (file: Partial<WeightFile>) =>
        details(
          find([{ pid: 10, name: "x", gpu: true, weights: [{ ...GGUF, ...file } as WeightFile] }], [])[0],
        )[0];
      expect(told({})).toBe("maps a.dat (gguf)");
      expect(told({ how: "open" })).toBe("keeps open a.dat (gguf)");
      expect(told({ header } as Partial<WeightFile>)).toBe("maps a.dat (gguf, llama, 8B, Q4_K_M)");
      const cached =
        "/home/ada/.cache/huggingface/hub/models--Qwen--Qwen3-8B/snapshots/0123456789abcdef0123456789abcdef01234567/m.gguf";
      expect(told({ path: cached })).toBe("maps Qwen/Qwen3-8B (gguf)");
    });

    test("a nameless server consists of its process", () => {
      const [one] = find([{ pid: 51 }], [{ pid: 51, port: 1234, shape: "lists models" }]);
      expect(one).toMatchObject({ kind: "generic", name: "Unknown OpenAI-compatible server" });
      expect([one!.members.map(({ pid }) => pid), one!.weights]).toEqual([[51], []]);
      const [held] = find([{ pid: 52, weights: [GGUF] }], [], {}, [], new Set(["52 /m/a.dat"]));
      expect([held!.name, held!.members.map(({ pid }) => pid), held!.weights]).toEqual([
        "Unknown process with model weights",
        [52],
        [GGUF],
      ]);
    });
  });

  test("never reports the agent itself", () => {
    expect(
      find([{ pid: 99, ...ollama, weights: [GGUF] }], [{ pid: 99, port: 1, product: "ollama" }]),
    ).toEqual([]);
  });
});

describe("names", () => {
  const process = (executable: string, ...argv: string[]): ProcessFacts => ({
    pid: 1,
    parentPid: 0,
    key: "",
    name: "x",
    executable,
    argv,
  });

  test("namesOf() looks past an interpreter at its script", () => {
    expect(namesOf(process("/usr/bin/python3.12", "python3", "-u", "/usr/bin/litellm"))).toContain("litellm");
    expect(namesOf(process("/usr/bin/cat", "cat", "/usr/bin/litellm"))).not.toContain("litellm");
    expect(namesOf(process("C:\\x\\Ollama.EXE"))).toContain("ollama");
  });

  test("isRenamed() goes by the names of the product", () => {
    expect(isRenamed(byId.get("ollama")!, "/usr/local/bin/ollama")).toBe(false);
    expect(isRenamed(byId.get("ollama")!, "/opt/helper")).toBe(true);
    // A program that Nix has wrapped does not count as renamed.
    expect(isRenamed(byId.get("ollama")!, "/nix/store/x-ollama-0.12.6/bin/.ollama-wrapped")).toBe(false);
    expect(isRenamed(byId.get("ollama")!, "/nix/store/x-helper-1/bin/.helper-wrapped")).toBe(true);
    expect(isRenamed(byId.get("llamafile")!, "/home/a/llava.llamafile")).toBe(false);
  });

  test("shortened() hides whose home it is and leaves neighbours alone", () => {
    const homes = ["/srv/people/ada", "/", "D:\\Profiles\\ada"];
    expect(shortened("/srv/people/ada/bin/ollama", homes)).toBe("~/bin/ollama");
    expect(shortened("/srv/people/ada", homes)).toBe("~");
    expect(shortened("/srv/people/adam/bin/ollama", homes)).toBe("/srv/people/adam/bin/ollama");
    expect(shortened("/srv/people/Ada/bin/ollama", homes)).toBe("/srv/people/Ada/bin/ollama");
    expect(shortened("D:\\Profiles\\ada\\ollama.exe", homes)).toBe("~\\ollama.exe");
    expect(shortened("d:\\profiles\\ADA\\ollama.exe", homes)).toBe("~\\ollama.exe");
    expect(shortened("D:/Profiles/Ada/ollama.exe", homes)).toBe("~/ollama.exe");
    expect(shortened("D:\\Profiles\\adam\\ollama.exe", homes)).toBe("D:\\Profiles\\adam\\ollama.exe");
  });

  test.each([
    ["/home/eve/bin/ollama", "~/bin/ollama"],
    ["/var/home/eve/bin/ollama", "~/bin/ollama"],
    ["/Users/eve/Ollama.app/Contents/MacOS/Ollama", "~/Ollama.app/Contents/MacOS/Ollama"],
    [
      "C:\\Users\\Eve Adams\\AppData\\Local\\Programs\\Ollama\\ollama.exe",
      "~\\AppData\\Local\\Programs\\Ollama\\ollama.exe",
    ],
    ["\\\\?\\c:\\users\\eve\\ollama.exe", "~\\ollama.exe"],
    ["C:\\Users\\eve", "~"],
    ["/Users/Shared/ollama", "/Users/Shared/ollama"],
    ["C:\\Users\\Public\\ollama.exe", "C:\\Users\\Public\\ollama.exe"],
    ["/opt/home/eve/ollama", "/opt/home/eve/ollama"],
    ["C:\\Program Files\\Users\\eve\\ollama.exe", "C:\\Program Files\\Users\\eve\\ollama.exe"],
  ])("shortened() knows where people live before their home is known: %s", (path, expected) => {
    expect(shortened(path, [])).toBe(expected);
  });
});
