import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Answer } from "../../catalogue/http-answer.ts";
import type { Examined } from "../../catalogue/match.ts";
import { type GrpcAnswer, type GrpcAnswers, readGrpc } from "../http2/grpc.ts";
import type { Target } from "./connection.ts";
import { type ByteBudget, createByteBudget, createKeeper } from "./kept-answer.ts";
import { PROBE_LIMITS, type Probe } from "./probe.ts";

export const FINGERPRINT_LIMITS = {
  /** Time limit in ms for all probes of one listener: first attempt, and each retry. A scan does not wait for retries. */
  MS_MAX: 4000,
  MS_MAX_LATER: 20_000,
  /** Upper limit of the timeout, which doubles with each attempt. */
  ANSWER_MS_MAX: 6400,
  /** Attempts per path. Some servers never respond on some paths. */
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
export type FingerprintDeps = {
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  elapsed: () => number;
  /** What may be kept of the answers of all listeners that are being asked; by default this one has all of it. */
  kept?: ByteBudget;
  /** The same for those that wait for their next attempt. */
  waiting?: ByteBudget;
};
export type Inquiry = ReturnType<typeof createInquiry>;

/** The questions to one listener and its answers, over several attempts. */
export function createInquiry(deps: FingerprintDeps, where: Omit<Target, "tls">) {
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

  const callOne = async (method: string, bodyBytesMax: number) => {
    const result = await ask(method, bodyBytesMax, true);
    if (!("failed" in result)) {
      unanswered.delete(method);
      const answer = readGrpc(method, result);
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
    /** It accepted the connection but has not responded yet. The next attempt has a longer timeout. */
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
    /** True if another attempt may learn more: the server responds, or was probed only once. */
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
    /** Requests the front page over HTTP/2. */
    openFront: async (): Promise<boolean> => answers.has("/") || keepFront(await ask("/")),
    /** Calls the gRPC methods of the catalogue until the server turns out not to speak gRPC. */
    call: async (methods: readonly string[], bodyBytesMax: number = PROBE_LIMITS.BODY_BYTES_MAX) => {
      const fresh = methods.filter((method) => !asked.has(method));
      while (fresh.length > 0 && !isOver()) {
        const batch = fresh.splice(0, atOnce);
        for (const method of batch) asked.add(method);
        await Promise.all(batch.map((method) => callOne(method, bodyBytesMax)));
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

/** A listener that has not responded so far is usually not an HTTP server. */
const HOPEFUL_ATTEMPTS = 2;

const NO_LIMIT: ByteBudget = { take: () => true, release: () => undefined, dropped: () => undefined };

/** A server that returns the JSON of its front page for every path gives no evidence with this response. */
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
