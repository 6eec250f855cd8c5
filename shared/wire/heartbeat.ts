import { z } from "zod";
import { slug } from "../ids.ts";
import { isoTimestamp, text } from "./text.ts";

/**
 * Limits of one heartbeat. The agent truncates longer lists and reports that in its collectors. The edge
 * rejects a heartbeat that exceeds a limit.
 */
export const LIMITS = {
  BODY_BYTES_MAX: 256 * 1024,
  ENGINES_MAX: 64,
  MODELS_MAX: 64,
  EVIDENCE_MAX: 16,
  CLIENTS_MAX: 32,
  STORES_MAX: 32,
  PORTS_MAX: 32,
  COLLECTORS_MAX: 24,
  /**
   * Maximum difference between the clocks of agent and edge, in both directions. A clock that is ahead is as
   * suspicious as a late message.
   */
  CLOCK_SKEW_SECONDS_MAX: 300,
} as const;

export const ENGINE_KINDS = [
  "inference-engine",
  "inference-app",
  "embedding-server",
  "image",
  "speech",
  "ui",
  "rag",
  "gateway",
  "agent",
  "agent-builder",
  "coding-agent",
  "ai-app",
  "mcp",
  "notebook",
  "vector-db",
  "launcher",
  "weights",
  "generic",
] as const;

/** Signals of an engine, strongest first. */
export const SIGNALS = [
  "http",
  "weights",
  "library",
  "gpu",
  "binary",
  "openai-shape",
  "name",
  "port",
] as const;

export const MODES = ["observe", "stop-engines", "network"] as const;
export const mode = z.enum(MODES);
export type Mode = z.infer<typeof mode>;

/** How mode `stop-engines` stops engines. */
export const stopEnginesBy = z.enum(["suspend", "terminate"]);
export type StopEnginesBy = z.infer<typeof stopEnginesBy>;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const pid = z
  .int()
  .min(1)
  .max(2 ** 32);
const port = z.int().min(1).max(65535);
/** An Ed25519 signature: 64 bytes in canonical base64url. */
const ed25519 = z.string().regex(/^[A-Za-z0-9_-]{85}[AQgw]$/);
/** A run id: 16 bytes in base64url. */
export const runId = z.string().regex(/^[A-Za-z0-9_-]{22}$/);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const evidence = z.strictObject({
  signal: z.enum(SIGNALS),
  detail: text(240),
  /**
   * Points added to the confidence. 0: the evidence is recorded but has no influence, for example for a
   * second candidate.
   */
  weight: z.int().min(0).max(100),
});

export const model = z.strictObject({
  name: text(200),
  loaded: z.boolean(),
  format: z.enum(["gguf", "safetensors", "onnx", "mlx", "unknown"]).optional(),
  sizeBytes: count.optional(),
  architecture: text(64).optional(),
  parameters: text(32).optional(),
  quantisation: text(32).optional(),
  licence: text(120).optional(),
  publisher: text(120).optional(),
  digest: text(100).optional(),
});

const client = z.strictObject({
  /** Executable name of a local process. Absent for a client on another host. */
  name: text(120).optional(),
  pid: pid.optional(),
  executable: text(260).optional(),
  /** Working directory, with the home directory shortened to `~`. Only sent if the tenant's settings require it. */
  directory: text(260).optional(),
  /** Address of a client on another host. Absent for a local process. */
  remote: text(64).optional(),
  connections: count,
});

export const engine = z.strictObject({
  /** Catalogue id. For a process with model weights in memory that is not a known engine, it is `unknown-weights`. */
  id: slug,
  name: text(80),
  kind: z.enum(ENGINE_KINDS),
  confidence: z.int().min(0).max(100),
  version: text(40).optional(),
  /** Process id. Absent for a listener whose process the agent has no permission to read. */
  pid: pid.optional(),
  processStartedAt: isoTimestamp.optional(),
  executable: text(260).optional(),
  executableSha256: sha256.optional(),
  /** Name and version of the system package that installed the executable. */
  package: text(160).optional(),
  /**
   * Signer of the executable if its certificate is valid. Otherwise `not signed`, `not valid: …` or `ad hoc,
   * without a signer`.
   */
  signer: text(160).optional(),
  /** True if the catalogue does not contain the executable's name for this engine. */
  renamed: z.boolean().optional(),
  user: text(64).optional(),
  /** Names of the parent processes without init, nearest first. */
  parents: z.array(text(120)).max(8),
  container: text(100).optional(),
  ports: z.array(port).max(LIMITS.PORTS_MAX),
  /** Local addresses on which the engine listens. Empty if it has no port. */
  bind: z.array(text(64)).max(LIMITS.PORTS_MAX),
  /** `open`: the engine responded without a credential. `required`: it responded with 401 or 403. */
  auth: z.enum(["open", "required", "unknown"]),
  models: z.array(model).max(LIMITS.MODELS_MAX),
  evidence: z.array(evidence).min(1).max(LIMITS.EVIDENCE_MAX),
  clients: z.array(client).max(LIMITS.CLIENTS_MAX),
});

const modelAtRest = model.omit({ loaded: true });

/** Models on disk of a product that does not run. The models of a running product are in its engine. */
export const store = z.strictObject({
  /**
   * Catalogue id of the product. `huggingface` stands for the cache that many products share, and `browser`
   * for web browsers.
   */
  id: slug,
  name: text(80),
  models: z.array(modelAtRest).min(1).max(LIMITS.MODELS_MAX),
});

export const collector = z.strictObject({
  name: slug,
  /** `partial`: a part of the source could not be read. `unsupported`: the source does not exist on this system. */
  status: z.enum(["ok", "partial", "failed", "unsupported"]),
  detail: text(240).optional(),
});

/**
 * Report on the newest directive that the agent obeyed. Generation 0 means that there was no directive yet.
 * The report is only a proof with its signature, see report-signature.ts. The worker checks the signature,
 * because it knows the device key.
 */
export const containmentReport = z.strictObject({
  generation: count,
  action: z.enum(["none", "isolate", "release"]),
  mode,
  /**
   * How engines were stopped, as in the directive. Absent if the directive does not contain it or the agent
   * is too old to send it. Engines were then suspended.
   */
  stopEnginesBy: stopEnginesBy.optional(),
  outcome: z.enum(["none", "applied", "failed"]),
  at: isoTimestamp,
  reason: text(240).optional(),
  probes: z
    .strictObject({
      controlPlaneReachable: z.boolean(),
      /** Whether a forbidden connection was blocked. Null if there was no probe, because the mode blocks nothing. */
      forbiddenBlocked: z.boolean().nullable(),
    })
    .optional(),
  /** Signature with the device key, in base64url. */
  signature: ed25519.optional(),
});

export const heartbeat = z.strictObject({
  v: z.literal(1),
  /**
   * Increases by one with every heartbeat of this asset, even after a restart. Together with `sentAt` it
   * identifies the heartbeat.
   */
  sequence: count,
  sentAt: isoTimestamp,
  /**
   * `sentAt` of the first heartbeat with the same state. The worker therefore does not need to compare states
   * to detect a change.
   */
  stateSince: isoTimestamp,
  agent: z.strictObject({
    version: text(40),
    catalogue: text(40),
    intervalMs: z.int().min(100).max(3_600_000),
    /** Run id of 16 random bytes in base64url. It is generated at the start of the daemon and is unique per start. */
    run: runId.optional(),
  }),
  host: z.strictObject({ hostname: text(253), os: text(120), arch: text(20) }),
  engines: z.array(engine).max(LIMITS.ENGINES_MAX),
  /**
   * Stores of models. Absent if they were not scanned yet, or if an older agent sent the heartbeat. Empty if
   * no stores were found.
   */
  stores: z.array(store).max(LIMITS.STORES_MAX).optional(),
  collectors: z.array(collector).max(LIMITS.COLLECTORS_MAX),
  containment: containmentReport,
  spool: z.strictObject({
    /** Number of heartbeats that waited on disk when this heartbeat was made. */
    waiting: count,
    /** Number of heartbeats that were dropped since enrolment because the spool was full. */
    dropped: count,
  }),
});

export type Evidence = z.infer<typeof evidence>;
export type Model = z.infer<typeof model>;
export type Client = z.infer<typeof client>;
export type Engine = z.infer<typeof engine>;
export type Store = z.infer<typeof store>;
/** A model of an engine, or a model of a store, which is not loaded. */
export type HeldModel = Store["models"][number] & Partial<Pick<Model, "loaded">>;
export type Collector = z.infer<typeof collector>;
export type ContainmentReport = z.infer<typeof containmentReport>;
export type Heartbeat = z.infer<typeof heartbeat>;

/** Body of the 202 response. It contains the `directive` until the agent has proven its generation. */
export const heartbeatAnswer = z.object({
  receivedAt: isoTimestamp,
  directive: z.string().max(4096).optional(),
});
export type HeartbeatAnswer = z.infer<typeof heartbeatAnswer>;
