import { evidenceOf } from "../../agent/scan/identify/confidence.ts";
import type { BaselineItem } from "../../shared/table/items/asset/baseline.ts";
import type { Finding } from "../../shared/table/items/asset/telemetry.ts";
import { policy } from "../../shared/table/items/policy.ts";
import { timestamp } from "../../shared/time/clock.ts";
import type { Engine, Model } from "../../shared/wire/heartbeat.ts";
import { dayOf, featuresOf, noveltyOf, remember, TENANT_FEATURE } from "../../worker/assess/baseline.ts";
import { answersAs, createIds, engineOf, type Host, sourcesOf } from "./seed.ts";

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

const MODELS = {
  coder: {
    name: "qwen2.5-coder:14b",
    loaded: true,
    format: "gguf",
    sizeBytes: 8_988_000_000,
    architecture: "qwen2",
    parameters: "14.8B",
    quantisation: "Q4_K_M",
    licence: "Apache-2.0",
    publisher: "Qwen",
  },
  llama: {
    name: "llama3.1:8b",
    loaded: true,
    format: "gguf",
    sizeBytes: 4_920_000_000,
    architecture: "llama",
    parameters: "8.0B",
    quantisation: "Q4_K_M",
    licence: "Llama 3.1 Community",
    publisher: "Meta",
  },
  deepseek: {
    name: "deepseek-r1:32b",
    loaded: true,
    format: "gguf",
    sizeBytes: 19_851_000_000,
    architecture: "qwen2",
    parameters: "32.8B",
    quantisation: "Q4_K_M",
    licence: "MIT",
    publisher: "DeepSeek",
  },
  mistral: {
    name: "mistral-small3.1:24b",
    loaded: true,
    format: "gguf",
    sizeBytes: 15_490_000_000,
    architecture: "mistral3",
    parameters: "24.0B",
    quantisation: "Q4_K_M",
    licence: "Apache-2.0",
    publisher: "Mistral AI",
  },
  gemma: {
    name: "gemma3:12b",
    loaded: true,
    format: "gguf",
    sizeBytes: 8_150_000_000,
    architecture: "gemma3",
    parameters: "12.2B",
    quantisation: "Q4_K_M",
    licence: "Gemma",
    publisher: "Google",
  },
  phi: { name: "phi-4-mini", loaded: true, format: "gguf", sizeBytes: 2_490_000_000, parameters: "3.8B" },
  vl: { name: "Qwen/Qwen2.5-VL-7B-Instruct", loaded: true, format: "safetensors", sizeBytes: 16_580_000_000 },
} as const satisfies Record<string, Model>;

const PEOPLE = [
  "tomas.berg",
  "ines.carvalho",
  "jonas.weiss",
  "amelie.fournier",
  "noor.haddad",
  "sam.okafor",
  "lena.virtanen",
  "piotr.zielinski",
  "hana.kobayashi",
  "victor.almeida",
  "ruth.adeyemi",
  "karl.lund",
];
const PLACES = ["eng-ws", "fin-lt", "hq-lt", "lab-ws", "ops-ws", "sales-lt", "legal-lt"];
const SYSTEMS = ["Ubuntu 24.04.3 LTS", "Debian 13", "Fedora 43", "Windows 11 24H2", "macOS 26.1"];

const finding = (rule: string, engine: Engine, points: number, explanation: string): Finding => ({
  rule,
  engine: engine.id,
  engineName: engine.name,
  risk: points >= 70 ? "CRITICAL" : "WARNING",
  points,
  explanation,
});

/**
 * Evidence of a model file that is mapped into the memory of a process, with the same text as the agent's
 * evidence.
 */
const maps = (file: string, { format, architecture, parameters, quantisation }: Model) => {
  const facts = [format, architecture, parameters, quantisation].filter((fact) => fact !== undefined);
  return evidenceOf("weightsMapped", `maps ${file} (${facts.join(", ")})`);
};

/**
 * Returns the engine as the agent detects it on this operating system. Windows does not report which data
 * files a process has mapped.
 */
function seenOn(os: string, engine: Engine): Engine {
  if (!os.startsWith("Windows")) return engine;
  return engineOf({ ...engine, evidence: engine.evidence.filter(({ signal }) => signal !== "weights") });
}

const lmStudio = engineOf({
  evidence: [
    ...answersAs("lm-studio", 1234),
    maps("Mistral-Small-3.1-24B-Instruct-Q4_K_M.gguf", MODELS.mistral),
  ],
  id: "lm-studio",
  name: "LM Studio",
  kind: "inference-app",
  version: "0.3.31",
  pid: 7710,
  ports: [1234],
  models: [MODELS.mistral, { ...MODELS.gemma, loaded: false }],
  clients: [{ name: "obsidian", pid: 5120, connections: 1 }],
});
const llamaCpp = engineOf({
  id: "llama-cpp",
  name: "llama.cpp server",
  evidence: [...answersAs("llama-cpp", 8080), maps("gemma-3-12b-it-Q4_K_M.gguf", MODELS.gemma)],
  pid: 20_114,
  ports: [8080],
  models: [MODELS.gemma],
  clients: [{ name: "python3.13", pid: 20_140, connections: 2 }],
});
const vllm = engineOf({
  id: "vllm",
  name: "vLLM",
  version: "0.11.2",
  pid: 3390,
  ports: [8000],
  bind: ["0.0.0.0"],
  auth: "required",
  models: [MODELS.vl],
});
const openWebui = engineOf({ id: "open-webui", name: "Open WebUI", kind: "ui", pid: 5512, ports: [3000] });
const jan = engineOf({
  id: "jan",
  name: "Jan",
  kind: "inference-app",
  pid: 8123,
  ports: [1337],
  models: [MODELS.phi],
});
const ollama = engineOf({
  version: "0.12.10",
  models: [MODELS.llama, { ...MODELS.deepseek, loaded: false }],
  clients: [{ name: "code", pid: 9120, connections: 2 }],
});
const kobold = engineOf({
  id: "koboldcpp",
  name: "KoboldCpp",
  pid: 991,
  ports: [5001],
  models: [MODELS.mistral],
});
const comfy = engineOf({ id: "comfyui", name: "ComfyUI", kind: "image", pid: 4410, ports: [8188] });

const ORDINARY: Engine[][] = [
  [],
  [ollama],
  [],
  [lmStudio],
  [],
  [],
  [ollama, openWebui],
  [],
  [llamaCpp],
  [],
  [jan],
  [],
  [ollama],
  [],
  [],
  [lmStudio],
  [],
  [comfy],
];

/** A demo company of typical size, in which most hosts have no findings. */
export function company(tenantId: string, nowMs: number): { hosts: Host[]; focus: Host } {
  const nextId = createIds(nowMs - 40 * DAY);
  const ordinary = Array.from({ length: 58 }, (_, i): Host => {
    const os = SYSTEMS[(i * 3) % SYSTEMS.length]!;
    const engines = ORDINARY[i % ORDINARY.length]!.map((engine) => seenOn(os, engine));
    const seen = i % 19 === 11 ? nowMs - (3 + i) * HOUR : nowMs - ((i * 731) % 5000);
    return {
      tenantId,
      assetId: nextId(),
      hostname: `${PLACES[i % PLACES.length]}-${String(101 + i * 7).padStart(4, "0")}`,
      employeeId: PEOPLE[(i * 5) % PEOPLE.length]!,
      os,
      enrolledAtMs: nowMs - 40 * DAY + i * HOUR,
      ...(i % 29 !== 27 && { lastSeenAtMs: seen }),
      states:
        i % 29 === 27
          ? []
          : [{ atMs: nowMs - (2 + (i % 9)) * DAY, engines, score: engines.length > 0 ? 20 : 0 }],
    };
  });
  const focus = focusHost(tenantId, nextId(), nowMs);
  const hosts = [...ordinary, focus, ...notable(tenantId, nextId, nowMs)];
  return { hosts, focus };
}

/**
 * The host in the screenshots. It has an exposed engine that an editor uses, and a renamed program with model
 * weights.
 */
function focusHost(tenantId: string, assetId: string, nowMs: number): Host {
  const exposed = engineOf({
    version: "0.12.10",
    pid: 18_233,
    processStartedAt: timestamp(nowMs - 5 * HOUR),
    executable: "/usr/local/bin/ollama",
    executableSha256: "4be11f6d0c07b1c6f0d9a5a2c43f8be2f7a81d6d0e4f9a7b5c3d2e1f0a9b8c7d",
    user: "tberg",
    parents: ["systemd"],
    ports: [11_434],
    bind: ["0.0.0.0", "::"],
    models: [MODELS.coder, { ...MODELS.deepseek, loaded: false }],
    evidence: [
      ...answersAs("ollama", 11_434),
      maps("sha256-ac9bc7a69dab38da1c790838955f1293420b55ab555ef6b4615efa1c1507b1ed", MODELS.coder),
      evidenceOf("gpu", "uses 9641 MiB of GPU memory"),
      evidenceOf("name", "process name is ollama"),
    ],
    clients: [
      {
        name: "code",
        pid: 9120,
        executable: "/usr/share/code/code",
        directory: "~/src/payments-core",
        connections: 3,
      },
      { remote: "10.20.4.77", connections: 1 },
    ],
  });
  const hiddenWeights = engineOf({
    id: "unknown-weights",
    name: "Unknown process with model weights",
    kind: "weights",
    pid: 24_871,
    processStartedAt: timestamp(nowMs - 42 * MINUTE),
    executable: "~/.cache/fontconfig/fc-helper",
    user: "tberg",
    parents: ["bash", "tmux: server"],
    ports: [],
    bind: [],
    auth: "unknown",
    models: [
      {
        name: "notes-backup.dat",
        loaded: true,
        format: "gguf",
        sizeBytes: 4_920_000_000,
        architecture: "llama",
      },
    ],
    evidence: [
      evidenceOf("weightsMapped", "maps notes-backup.dat (gguf, llama)"),
      evidenceOf("libraryShared", "loaded libggml-base.so"),
    ],
  });
  const partial = sourcesOf("Ubuntu 24.04.3 LTS").map((source) =>
    source.name === "clients"
      ? {
          name: "clients",
          status: "partial" as const,
          detail: "3 local connections without a readable owner",
        }
      : source,
  );
  const openRule = finding(
    "exposed-engine",
    exposed,
    80,
    "Ollama listens on 0.0.0.0, :: (pid 18233, port 11434) and requires no credential.",
  );
  const weightsRule = finding(
    "unknown-weights",
    hiddenWeights,
    70,
    "~/.cache/fontconfig/fc-helper (pid 24871) has model weights in memory and is not a known engine.",
  );
  const modelRule = finding(
    "unapproved-model",
    exposed,
    35,
    "Ollama has qwen2.5-coder:14b loaded (pid 18233, port 11434), which the policy does not approve.",
  );
  return {
    tenantId,
    assetId,
    hostname: "eng-ws-0417",
    employeeId: "tomas.berg",
    os: "Ubuntu 24.04.3 LTS",
    enrolledAtMs: nowMs - 38 * DAY,
    lastSeenAtMs: nowMs - 2300,
    states: [
      { atMs: nowMs - 3 * DAY, engines: [], score: 0 },
      {
        atMs: nowMs - 26 * HOUR,
        engines: [{ ...exposed, bind: ["127.0.0.1"], models: [], clients: [] }],
        score: 40,
      },
      { atMs: nowMs - 22 * HOUR, engines: [], score: 0 },
      { atMs: nowMs - 5 * HOUR, engines: [{ ...exposed, bind: ["127.0.0.1"], clients: [] }], score: 58 },
      { atMs: nowMs - 3 * HOUR, engines: [exposed], score: 88 },
      {
        atMs: nowMs - 41 * MINUTE,
        engines: [exposed, hiddenWeights],
        stores: [
          {
            id: "huggingface",
            name: "Hugging Face cache",
            models: [
              {
                name: "Qwen/Qwen2.5-7B-Instruct",
                format: "safetensors",
                sizeBytes: 15_231_233_024,
                architecture: "qwen2",
                publisher: "Qwen",
              },
              {
                name: "openai/whisper-large-v3",
                format: "safetensors",
                sizeBytes: 3_087_130_976,
                architecture: "whisper",
                publisher: "openai",
              },
            ],
          },
        ],
        score: 97,
        collectors: partial,
        novelty: noveltyBeside([{ ...exposed, bind: ["127.0.0.1"] }], [exposed, hiddenWeights], nowMs),
        adjudication: {
          outcome: "judged",
          risk: "CRITICAL",
          score: 82,
          explanation:
            "A process named after a font cache holds 4.9 GB of language model weights under the name of a backup file, started from a shell in a terminal multiplexer. The naming reads as concealment rather than convenience.",
          model: "qwen2.5-32b-instruct",
          before: 94,
          after: 97,
        },
      },
    ],
    findings: [
      { finding: openRule, openedAtMs: nowMs - 3 * HOUR },
      { finding: weightsRule, openedAtMs: nowMs - 41 * MINUTE },
      { finding: modelRule, openedAtMs: nowMs - 5 * HOUR },
      {
        finding: finding(
          "unapproved-engine",
          lmStudio,
          40,
          "LM Studio runs here (pid 5110, port 1234) and is not approved.",
        ),
        openedAtMs: nowMs - 9 * DAY,
        resolvedAtMs: nowMs - 8 * DAY,
      },
    ],
  };
}

function notable(tenantId: string, nextId: () => string, nowMs: number): Host[] {
  const host = (more: Partial<Host> & Pick<Host, "hostname" | "employeeId" | "states">): Host => ({
    tenantId,
    assetId: nextId(),
    os: "Ubuntu 24.04.3 LTS",
    enrolledAtMs: nowMs - 20 * DAY,
    lastSeenAtMs: nowMs - 3100,
    ...more,
  });
  const renamed = engineOf({
    ...llamaCpp,
    renamed: true,
    executable: "C:\\Tools\\pdfindexd.exe",
    evidence: [...answersAs("llama-cpp", 8080), evidenceOf("libraryShared", "loaded ggml.dll")],
    user: "icarvalho",
    parents: ["explorer.exe"],
    bind: ["127.0.0.1"],
  });
  const webui = engineOf({ ...openWebui, bind: ["0.0.0.0"], auth: "required" });
  const noGpu = sourcesOf("Ubuntu 24.04.3 LTS").map((source) =>
    source.name === "gpu" ? { name: "gpu", status: "failed" as const, detail: "nvidia-smi failed" } : source,
  );
  return [
    host({
      hostname: "fin-lt-0233",
      employeeId: "ines.carvalho",
      os: "Windows 11 24H2",
      states: [{ atMs: nowMs - 74 * MINUTE, engines: [renamed], score: 70 }],
      findings: [
        {
          finding: finding(
            "renamed-binary",
            renamed,
            70,
            "llama.cpp server is running under a different name: C:\\Tools\\pdfindexd.exe (pid 20114).",
          ),
          openedAtMs: nowMs - 74 * MINUTE,
        },
      ],
    }),
    host({
      hostname: "lab-ws-0102",
      employeeId: "hana.kobayashi",
      states: [{ atMs: nowMs - 9 * HOUR, engines: [vllm, kobold], score: 55 }],
      findings: [
        {
          finding: finding(
            "exposed-behind-credential",
            vllm,
            35,
            "vLLM listens on 0.0.0.0 (pid 3390, port 8000) and requires a credential.",
          ),
          openedAtMs: nowMs - 9 * HOUR,
        },
        {
          finding: finding(
            "unapproved-engine",
            kobold,
            40,
            "KoboldCpp runs here (pid 991, port 5001) and is not on the list of approved engines.",
          ),
          openedAtMs: nowMs - 26 * HOUR,
        },
      ],
    }),
    host({
      hostname: "ops-ws-0031",
      employeeId: "sam.okafor",
      states: [{ atMs: nowMs - 2 * DAY, engines: [webui, ollama], score: 40, collectors: noGpu }],
      findings: [
        {
          finding: finding(
            "unapproved-engine",
            webui,
            40,
            "Open WebUI runs here (pid 5512, port 3000) and is not on the list of approved engines.",
          ),
          openedAtMs: nowMs - 2 * DAY,
        },
      ],
    }),
    host({
      hostname: "hq-lt-0610",
      employeeId: "karl.lund",
      states: [{ atMs: nowMs - DAY, engines: [ollama], score: 20 }],
    }),
    host({
      hostname: "sales-lt-0088",
      employeeId: "ruth.adeyemi",
      lastSeenAtMs: nowMs - 47 * MINUTE,
      states: [{ atMs: nowMs - DAY, engines: [lmStudio], score: 20 }],
    }),
  ];
}

/**
 * Texts of the baseline about new features of a host. `had`: engines of the host in the two weeks before.
 * `has`: engines of the host today.
 */
function noveltyBeside(had: Engine[], has: Engine[], nowMs: number): string[] {
  const nothingApproved = policy.parse({});
  const today = dayOf(timestamp(nowMs));
  const known = featuresOf({ engines: had }, nothingApproved);
  const days = Array.from({ length: 14 }, (_, i) => today - 14 + i);
  const owner = { tenantId: "", assetId: "" };
  const past = days.reduce<BaselineItem | undefined>(
    (sofar, day) => remember(sofar, owner, known, day),
    undefined,
  );
  const ofAll = new Map([TENANT_FEATURE, ...known.map(({ name }) => name)].map((name) => [name, days]));
  return noveltyOf(featuresOf({ engines: has }, nothingApproved), past, ofAll, today).sentences;
}
