import type { Model } from "../../shared/wire/heartbeat.ts";
import { tidy } from "../../shared/wire/text.ts";
import { OPEN_ANSWERS, openedBy } from "../catalog/auth.ts";
import type { CatalogEntry } from "../catalog/entry.ts";
import { type Answers, type Judgement, judge, MODELS_PATH, openaiShape, rivals } from "../catalog/judge.ts";
import { type Examined, regex, valuesAt } from "../catalog/match.ts";
import type { Target } from "./connection.ts";
import {
  type GrpcAnswer,
  type GrpcAnswers,
  grpcAuth,
  grpcMethods,
  grpcModelList,
  grpcModels,
  grpcVersion,
  judgeGrpc,
  readGrpc,
} from "./grpc.ts";
import type { Answer } from "./http.ts";
import { type ByteBudget, createByteBudget, createKeeper } from "./kept-answer.ts";
import { listedModels, OPENAI_MODELS } from "./models.ts";
import { PROBE_LIMITS, type Probe } from "./probe.ts";

/** What a listener turned out to be. Without `judgement.winner` and `shape` it is no engine anybody knows. */
export type Fingerprint = {
  target: Target;
  judgement: Judgement;
  /** It speaks the OpenAI API, in words. */
  shape?: string;
  auth: "open" | "required" | "unknown";
  /** It was asked by methods of gRPC: the paths of its traits are those. */
  grpc?: true;
  version?: string;
  models: Model[];
  /** False when it did not answer in full: worth another try later. */
  settled: boolean;
  /** Where the next attempt goes on, when some questions were not answered: pass it to {@link fingerprint}. */
  rest?: Inquiry;
};

export const FINGERPRINT_LIMITS = {
  /** Time limit in ms for all probes of one listener: first attempt, and each retry. A scan does not wait for retries. */
  MS_MAX: 4000,
  MS_MAX_LATER: 20_000,
  /** Each attempt waits twice as long for an answer as the one before, up to this. */
  ANSWER_MS_MAX: 6400,
  /** A question that stays unanswered in so many attempts is given up: some paths never answer. */
  ATTEMPTS_MAX: 4,
  PATHS_MAX: 160,
  AT_ONCE: 4,
  /**
   * Of a server that answered all it was asked, and the last of it within {@link QUICK_MS}. A backlog of 5, as that of
   * Python's http.server and cpp-httplib, holds six connections; the kernel drops the seventh.
   */
  AT_ONCE_QUICK: 6,
  QUICK_MS: 20,
  SILENCES_MAX: 3,
} as const;

/** Asked last: `/health` of LiteLLM calls every model behind it, `/metrics` is long everywhere. */
const LAST = new Set(["/health", "/metrics"]);

export type FingerprintDeps = {
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  elapsed: () => number;
  /** What may be kept of the answers of all listeners that are being asked; by default this one has all of it. */
  kept?: ByteBudget;
  /** The same for those that wait for their next attempt. */
  waiting?: ByteBudget;
};

/**
 * Asks a listener until it is identified: its front page, the paths of `likely` products, the OpenAI list, and
 * then every other path the catalogue knows. Only GET, nothing twice, bounded by {@link FINGERPRINT_LIMITS}. Where more
 * becomes known of its process meanwhile, `likelyInTheEnd` has it.
 */
export async function fingerprint(
  deps: FingerprintDeps,
  where: Omit<Target, "tls">,
  likely: ReadonlySet<string>,
  options: {
    signal?: AbortSignal | undefined;
    likelyInTheEnd?: () => Promise<ReadonlySet<string>>;
    /** Goes on where an earlier attempt stopped, with its answers, and waits longer for each. */
    rest?: Inquiry | undefined;
  } = {},
): Promise<Fingerprint> {
  const inquiry = options.rest ?? createInquiry(deps, where);
  inquiry.begin(options.signal);
  try {
    const found = await inquire(deps, inquiry, likely, options);
    if (found.rest) inquiry.park();
    else inquiry.close();
    return found;
  } catch (cause) {
    inquiry.close();
    throw cause;
  }
}

async function inquire(
  deps: FingerprintDeps,
  inquiry: Inquiry,
  likely: ReadonlySet<string>,
  options: { likelyInTheEnd?: () => Promise<ReadonlySet<string>> },
): Promise<Fingerprint> {
  const opened = await inquiry.open();
  if (opened === "http2") {
    const methods = grpcMethods(deps.catalogue, likely);
    await inquiry.call(methods);
    if (inquiry.grpc.size > 0) return finishGrpc(deps.catalogue, inquiry, methods);
  }
  if (opened === "none" || (opened === "http2" && !(await inquiry.openFront())))
    return conclude(deps.catalogue, inquiry, likely);
  let batches = 0;
  for (const paths of planOf(deps.catalogue)(likely)) {
    const decided = inquiry.isOver() || isDecided(deps.catalogue, inquiry.answers, likely, batches);
    if (decided) break;
    await inquiry.ask(paths);
    batches += 1;
  }
  const known = (await options.likelyInTheEnd?.()) ?? likely;
  const { winner } = judge(deps.catalogue, inquiry.answers, known);
  if (winner) await inquiry.ask(rivals(deps.catalogue, winner.entry).flatMap(decisivePaths));
  const final = judge(deps.catalogue, inquiry.answers, known).winner;
  if (final) await inquiry.ask(detailPaths(final.entry), PROBE_LIMITS.MODELS_BYTES_MAX);
  return conclude(deps.catalogue, inquiry, known);
}

async function finishGrpc(
  catalogue: readonly CatalogEntry[],
  inquiry: Inquiry,
  methods: string[],
): Promise<Fingerprint> {
  const models = grpcModels(judgeGrpc(catalogue, inquiry.grpc));
  if (models) methods.push(models.call);
  await inquiry.call(methods);
  const judgement = judgeGrpc(catalogue, inquiry.grpc);
  const version = grpcVersion(judgement, inquiry.grpc);
  return {
    target: inquiry.target(),
    judgement,
    auth: grpcAuth(judgement, inquiry.grpc),
    grpc: true,
    models: grpcModelList(judgement, inquiry.grpc),
    settled: inquiry.settled() || judgement.winner !== undefined,
    ...(version !== undefined && { version }),
    ...(inquiry.lacks(methods) && { rest: inquiry }),
  };
}

/**
 * Asks an identified listener again for what changes: its models. The same fingerprint while they are the same,
 * undefined when it no longer answers, or knows nothing any more of the lists that it had.
 */
export async function refreshModels(
  deps: FingerprintDeps,
  before: Fingerprint,
  signal?: AbortSignal,
): Promise<Fingerprint | undefined> {
  if (before.grpc) return refreshGrpc(deps, before, signal);
  const lists = modelLists(before);
  if (lists.length === 0) return before;
  const answers = new Map<string, Examined>();
  const keeper = createKeeper(deps.catalogue, deps.kept ?? createByteBudget());
  try {
    for (const { path } of lists) {
      const options = { signal, bodyBytesMax: PROBE_LIMITS.MODELS_BYTES_MAX };
      const result = await deps.probe(before.target, path, options);
      if ("failed" in result) return result.failed === "silent" ? before : undefined;
      answers.set(path, keeper.keep(path, result));
    }
    const isOther = before.models.length > 0 && [...answers.values()].every(({ status }) => status === 404);
    if (isOther) return undefined;
    return withModels(before, listedModels(lists, answers));
  } finally {
    keeper.close();
  }
}

async function refreshGrpc(
  deps: FingerprintDeps,
  before: Fingerprint,
  signal: AbortSignal | undefined,
): Promise<Fingerprint | undefined> {
  const list = grpcModels(before.judgement);
  if (!list) return before;
  const bodyBytesMax = PROBE_LIMITS.MODELS_BYTES_MAX;
  const result = await deps.probe(before.target, list.call, { signal, bodyBytesMax, grpc: true });
  if ("failed" in result) return result.failed === "silent" ? before : undefined;
  const answer = readGrpc(result);
  if (!answer) return undefined;
  return withModels(before, grpcModelList(before.judgement, new Map([[list.call, answer]])));
}

const withModels = (before: Fingerprint, models: Model[]): Fingerprint =>
  JSON.stringify(models) === JSON.stringify(before.models) ? before : { ...before, models };

const modelLists = (known: Pick<Fingerprint, "judgement" | "shape">) => {
  const own = known.judgement.winner?.entry;
  if (own) return own.models ?? (own.openai ? [OPENAI_MODELS] : []);
  return known.shape === undefined ? [] : [OPENAI_MODELS];
};

export type Inquiry = ReturnType<typeof createInquiry>;

/** The questions to one listener and its answers, over several attempts. */
function createInquiry(deps: FingerprintDeps, where: Omit<Target, "tls">) {
  let signal: AbortSignal | undefined;
  let startedAt = 0;
  let attempts = 0;
  let answersBefore = 0;
  const answers = new Map<string, Examined>();
  const grpc = new Map<string, GrpcAnswer>();
  const keeper = createKeeper(deps.catalogue, deps.kept ?? createByteBudget());
  const asked = new Set<string>();
  /** Questions that were not answered, and in how many attempts. */
  const unanswered = new Map<string, number>();
  let front: Front | undefined;
  let target: Target = { ...where, tls: false };
  let silences = 0;
  let isSilent = false;
  let settled = true;
  let atOnce: number = FINGERPRINT_LIMITS.AT_ONCE;

  const isOver = () => {
    const { MS_MAX, MS_MAX_LATER } = FINGERPRINT_LIMITS;
    const late = deps.elapsed() - startedAt > (attempts > 1 ? MS_MAX_LATER : MS_MAX);
    if (late || signal?.aborted || silences >= FINGERPRINT_LIMITS.SILENCES_MAX) settled = false;
    return !settled || asked.size >= FINGERPRINT_LIMITS.PATHS_MAX;
  };

  const ask = (path: string, bodyBytesMax?: number, isCall = false) => {
    const timeoutMs = Math.min(
      PROBE_LIMITS.TIMEOUT_MS * 2 ** (attempts - 1),
      FINGERPRINT_LIMITS.ANSWER_MS_MAX,
    );
    return deps.probe(target, path, {
      signal,
      ...(bodyBytesMax !== undefined && { bodyBytesMax }),
      ...(attempts > 1 && { timeoutMs }),
      ...(isCall && { grpc: true }),
    });
  };

  const isWorthAsking = (path: string): boolean =>
    (unanswered.get(path) ?? 0) < FINGERPRINT_LIMITS.ATTEMPTS_MAX &&
    (unanswered.has(path) || !asked.has(path));

  const callOne = async (method: string) => {
    const result = await ask(method, PROBE_LIMITS.MODELS_BYTES_MAX, true);
    if (!("failed" in result)) {
      unanswered.delete(method);
      const answer = readGrpc(result);
      if (answer) grpc.set(method, answer);
    } else noteFailure(method, result.failed);
  };

  const askOne = async (path: string, bodyBytesMax: number) => {
    const result = await ask(path, bodyBytesMax);
    if (!("failed" in result)) {
      unanswered.delete(path);
      if (!isStub(front, result)) answers.set(path, keeper.keep(path, result));
      if (result.status >= 500) settledLater = true;
    } else noteFailure(path, result.failed);
  };

  const noteFailure = (path: string, failed: Failure) => {
    if (failed === "silent") {
      silences += 1;
      unanswered.set(path, (unanswered.get(path) ?? 0) + 1);
    } else if (failed === "refused") settledLater = true;
  };
  /** A server that is starting refuses or answers 5xx: it is asked in full, and again later. */
  let settledLater = false;

  const keepFront = (first: Awaited<ReturnType<Probe>>): boolean => {
    asked.add("/");
    if (!("failed" in first)) {
      front = frontOf(first);
      answers.set("/", keeper.keep("/", first));
      return true;
    }
    settled = first.failed === "not-http" || first.failed === "tls";
    isSilent = first.failed === "silent";
    return false;
  };

  return {
    answers,
    /** What the methods of {@link call} answered, where it is a server of gRPC. */
    grpc: grpc as GrpcAnswers,
    isOver,
    close: keeper.close,
    target: () => target,
    settled: () => settled && !settledLater && ![...unanswered.keys()].some(isWorthAsking),
    /** Some of these were not asked or not answered, and the server is not one that is only starting. */
    lacks: (paths: readonly string[]): boolean => !settledLater && paths.some(isWorthAsking),
    /** It stopped before all was asked. */
    isCutShort: (): boolean =>
      !settledLater && answers.size > 0 && (!settled || [...unanswered.keys()].some(isWorthAsking)),
    /** It accepted the connection and has said nothing so far: the next attempt waits longer. */
    isSilent: (): boolean => answers.size === 0 && isSilent,
    /** Starts an attempt. */
    begin: (stop: AbortSignal | undefined): void => {
      signal = stop;
      startedAt = deps.elapsed();
      attempts += 1;
      answersBefore = answers.size + grpc.size;
      silences = 0;
      settled = true;
      settledLater = false;
      for (const path of unanswered.keys()) if (isWorthAsking(path)) asked.delete(path);
    },
    /** Another attempt is likely to learn more: it answers, or was asked once only. */
    isHopeful: (): boolean => answers.size + grpc.size > answersBefore || attempts < HOPEFUL_ATTEMPTS,
    /** The last attempt brought answers that the ones before did not. */
    hasProgressed: (): boolean => answers.size + grpc.size > answersBefore,
    park: (): void =>
      keeper.park(deps.waiting ?? NO_LIMIT, (path) => {
        answers.delete(path);
        asked.delete(path);
      }),
    /** Which protocol it speaks. The front page is asked for, but of HTTP/2. */
    open: async (): Promise<"http" | "http2" | "none"> => {
      if (target.http2) return "http2";
      if (answers.has("/")) return "http";
      let first = await ask("/");
      if (wantsTls(first)) {
        target = { ...where, tls: true };
        first = await ask("/");
      }
      if (wantsHttp2(first, target)) {
        target = { ...target, http2: true };
        return "http2";
      }
      return keepFront(first) ? "http" : "none";
    },
    /** Asks a server of HTTP/2 for its front page. */
    openFront: async (): Promise<boolean> => answers.has("/") || keepFront(await ask("/")),
    /** Calls methods of gRPC as long as the server speaks it. */
    call: async (methods: readonly string[]) => {
      const fresh = methods.filter((method) => !asked.has(method));
      while (fresh.length > 0 && !isOver()) {
        const batch = fresh.splice(0, atOnce);
        for (const method of batch) asked.add(method);
        await Promise.all(batch.map(callOne));
        if (grpc.size === 0) return;
      }
    },
    ask: async (paths: readonly string[], bodyBytesMax: number = PROBE_LIMITS.BODY_BYTES_MAX) => {
      const fresh = [...new Set(paths)].filter((path) => !asked.has(path));
      while (fresh.length > 0 && !isOver()) {
        const batch = fresh.splice(0, atOnce);
        for (const path of batch) asked.add(path);
        const askedAtMs = deps.elapsed();
        await Promise.all(batch.map((path) => askOne(path, bodyBytesMax)));
        const isQuick = silences === 0 && deps.elapsed() - askedAtMs <= FINGERPRINT_LIMITS.QUICK_MS;
        atOnce = isQuick ? FINGERPRINT_LIMITS.AT_ONCE_QUICK : FINGERPRINT_LIMITS.AT_ONCE;
      }
    },
  };
}

/** A listener that said nothing so far is mostly no HTTP server. */
const HOPEFUL_ATTEMPTS = 2;

const NO_LIMIT: ByteBudget = { take: () => true, release: () => undefined, dropped: () => undefined };

/** A server that says the same JSON as on its front page has not understood the question: nothing is known by it. */
const isStub = (front: Front | undefined, answer: Answer): boolean =>
  front !== undefined &&
  answer.status === 200 &&
  answer.body.length === front.length &&
  Bun.hash(answer.body) === front.hash;

/** JSON on the front page. Its body is not kept. */
type Front = { length: number; hash: number | bigint };

const frontOf = ({ status, body }: Answer): Front | undefined =>
  status === 200 && /^\s*[[{]/.test(body) ? { length: body.length, hash: Bun.hash(body) } : undefined;

type Failure = Extract<Awaited<ReturnType<Probe>>, { failed: unknown }>["failed"];

/** Servers that speak only HTTP/2 hang up on a client of TLS that does not ask for it. */
const wantsHttp2 = (result: Awaited<ReturnType<Probe>>, { tls }: Target): boolean =>
  "failed" in result && (result.failed === "http2" || (tls && result.failed === "not-http"));

/** nginx and Go answer plain HTTP on a TLS port with a 400 that says so. */
function wantsTls(result: Awaited<ReturnType<Probe>>): boolean {
  if ("failed" in result) return result.failed === "tls";
  return result.status === 400 && /\bHTTPS\b/.test(result.body);
}

const plans = new WeakMap<readonly CatalogEntry[], Plan>();

/** A catalogue lives as long as the scanner: its plan is made once. */
function planOf(catalogue: readonly CatalogEntry[]): Plan {
  const plan = plans.get(catalogue) ?? createPlan(catalogue);
  plans.set(catalogue, plan);
  return plan;
}

type Plan = (likely: ReadonlySet<string>) => Generator<readonly string[]>;

/** Batches of paths, most telling first: those of what is likely, then those that most products answer. */
function createPlan(catalogue: readonly CatalogEntry[]): Plan {
  const decisive = new Map(catalogue.map((entry) => [entry.id, decisivePaths(entry)]));
  const counts = new Map<string, number>();
  for (const path of [...decisive.values()].flat()) counts.set(path, (counts.get(path) ?? 0) + 1);
  const common = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
  const early = common.filter((path) => !LAST.has(path));
  const last = common.filter((path) => LAST.has(path));
  return function* plan(likely) {
    const hinted = [...likely].flatMap((id) => decisive.get(id) ?? []);
    yield [...hinted, MODELS_PATH].filter((path) => !LAST.has(path));
    for (let at = 0; at < early.length; at += 8) yield early.slice(at, at + 8);
    yield last;
  };
}

const decisivePaths = (entry: CatalogEntry): string[] => [
  ...new Set(entry.traits.filter((trait) => trait.weight !== "hint").map((trait) => trait.path)),
];

const detailPaths = (entry: CatalogEntry): string[] => [
  ...(entry.version ?? []).map((source) => source.path),
  ...(entry.models ?? []).map((list) => list.path),
  ...(entry.openai ? [MODELS_PATH] : []),
  ...(OPEN_ANSWERS[entry.id] ?? []).map(({ path }) => path),
];

/**
 * A product that names itself ends the questions. So does a combination that no other product has, once the paths
 * that most products answer were asked as well; those that copy the winner's answers are asked in any case.
 */
function isDecided(
  catalogue: readonly CatalogEntry[],
  answers: Answers,
  likely: ReadonlySet<string>,
  batches: number,
): boolean {
  const { winner } = judge(catalogue, answers, likely);
  if (!winner) return false;
  return batches >= COMMON_BATCHES || winner.traits.some((trait) => trait.weight === "identity");
}

/** What is likely, and the eight paths that most products answer. */
const COMMON_BATCHES = 2;

function conclude(
  catalogue: readonly CatalogEntry[],
  inquiry: Inquiry,
  likely: ReadonlySet<string>,
): Fingerprint {
  const { answers } = inquiry;
  const judgement = judge(catalogue, answers, likely);
  const shape = openaiShape(answers);
  const lists = modelLists({ judgement, ...(shape !== undefined && { shape }) });
  const version = judgement.winner && versionOf(judgement.winner.entry, answers);
  const own = judgement.winner?.entry;
  const hasRest = own
    ? inquiry.lacks([...detailPaths(own), ...rivals(catalogue, own).flatMap(decisivePaths)])
    : inquiry.isCutShort() || inquiry.isSilent();
  return {
    target: inquiry.target(),
    judgement,
    auth: authOf(
      judgement,
      answers,
      lists.map((list) => list.path),
    ),
    models: listedModels(lists, answers),
    settled: inquiry.settled() || judgement.winner !== undefined,
    ...(shape !== undefined && { shape }),
    ...(version !== undefined && { version }),
    ...(hasRest && { rest: inquiry }),
  };
}

/**
 * A refusal anywhere in the product's own API counts: llama.cpp lists its models to everybody, key or not. `open` takes an
 * answer that a credential would have kept: the list of models, or what {@link OPEN_ANSWERS} names for the product.
 */
function authOf(judgement: Judgement, answers: Answers, lists: readonly string[]): Fingerprint["auth"] {
  const own = judgement.winner?.entry;
  const paths = [
    ...lists,
    MODELS_PATH,
    ...(own?.traits ?? []).map(({ path }) => path),
    ...(own ? detailPaths(own) : []),
  ];
  const statuses = paths.map((path) => answers.get(path)?.status);
  if (statuses.some((status) => status === 401 || status === 403)) return "required";
  const isOpen =
    own && OPEN_ANSWERS[own.id]
      ? [...answers].some(([path, answer]) => openedBy(path, answer).has(own.id))
      : [...lists, MODELS_PATH].some((path) => isJson(answers.get(path)));
  return isOpen ? "open" : "unknown";
}

/** A page that a server gives for every path is no list of models. */
const isJson = (answer: Examined | undefined): boolean => answer?.status === 200 && answer.json !== undefined;

/** What a program says that was built without its version, `0.0.0` or `0.0.0-dev`: no version, and no known hole. */
const PLACEHOLDER = /^v?0(?:\.0)*(?:[-+.][^.]*)?$/;

/** A header is asked for as `header:name`, anything else is a path into the JSON. */
function versionOf(entry: CatalogEntry, answers: Answers): string | undefined {
  for (const { path, at, matches } of entry.version ?? []) {
    const answer = answers.get(path);
    if (!answer) continue;
    const raw =
      at === "body"
        ? answer.body
        : at.startsWith("header:")
          ? answer.headers[at.slice(7)]
          : valuesAt(answer.json, at)[0];
    if (typeof raw !== "string" && typeof raw !== "number") continue;
    const found = matches === undefined ? String(raw) : regex(matches).exec(String(raw))?.[1];
    if (found && !PLACEHOLDER.test(found)) return tidy(found, 40);
  }
  return undefined;
}
