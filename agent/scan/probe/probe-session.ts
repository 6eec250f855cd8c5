import type { CatalogEntry } from "../../catalogue/entry.ts";
import type { Answer } from "../../catalogue/http-answer.ts";
import type { Examined } from "../../catalogue/match.ts";
import { type GrpcAnswer, readGrpc } from "../http2/grpc.ts";
import type { Target } from "./connection.ts";
import { type ByteBudget, createByteBudget, createKeeper, type Keeper } from "./kept-answer.ts";
import { PROBE_LIMITS, type Probe, type ProbeResult } from "./probe.ts";

export const FINGERPRINT_LIMITS = {
  /**
   * Timeouts in ms for all requests of one attempt. The first value is for the first attempt, the second for
   * later attempts. A scan does not wait for later attempts.
   */
  MS_MAX: 4000,
  MS_MAX_LATER: 20_000,
  /** Maximum timeout of one request in ms. The timeout starts lower and doubles with each attempt. */
  ANSWER_MS_MAX: 6400,
  /** Maximum number of attempts per path. Some servers never respond on some paths. */
  ATTEMPTS_MAX: 4,
  PATHS_MAX: 160,
  /** Maximum number of requests in flight to one listener. */
  AT_ONCE: 4,
  /**
   * Maximum number of requests in flight to a quick listener. A listener is quick if its last batch of
   * responses took at most {@link QUICK_MS}. A socket with a backlog of 5 (Python's http.server, cpp-httplib)
   * queues six connections, and the kernel drops the seventh.
   */
  AT_ONCE_QUICK: 6,
  QUICK_MS: 20,
  /** Number of timeouts after which an attempt ends. */
  SILENCES_MAX: 3,
} as const;

export type FingerprintDeps = {
  probe: Probe;
  catalogue: readonly CatalogEntry[];
  elapsed: () => number;
  /**
   * Memory budget for responses of all listeners that are being probed. Default: a separate budget for this
   * listener.
   */
  kept?: ByteBudget;
  /** Memory budget for responses of all listeners that wait for their next attempt. Default: no limit. */
  waiting?: ByteBudget;
};

/** Number of attempts without new responses after which a listener is probably not an HTTP server. */
const HOPEFUL_ATTEMPTS = 2;

const NO_LIMIT: ByteBudget = { take: () => true, release: () => undefined, dropped: () => undefined };

/**
 * Requests to one listener and their responses, over several attempts. If a path has a response, it is not
 * requested again.
 */
export class ProbeSession {
  readonly answers = new Map<string, Examined>();
  /** Responses to gRPC calls, by method name. Empty if the server does not use gRPC. */
  readonly grpc = new Map<string, GrpcAnswer>();

  readonly #deps: FingerprintDeps;
  readonly #keeper: Keeper;
  readonly #asked = new Set<string>();
  /** Number of attempts for each path that timed out. */
  readonly #unanswered = new Map<string, number>();
  #target: Target;
  #front: Front | undefined;
  #signal: AbortSignal | undefined;
  #startedAt = 0;
  #attempts = 0;
  #answersBefore = 0;
  #silences = 0;
  #atOnce: number = FINGERPRINT_LIMITS.AT_ONCE;
  #isSilent = false;
  #isSettled = true;
  /**
   * True if the server is probably starting, because it refused a connection or returned 5xx. All paths are
   * requested again later.
   */
  #isStarting = false;

  constructor(deps: FingerprintDeps, where: Omit<Target, "tls">) {
    this.#deps = deps;
    this.#target = { ...where, tls: false };
    this.#keeper = createKeeper(deps.catalogue, deps.kept ?? createByteBudget());
  }

  get target(): Target {
    return this.#target;
  }

  /** Starts an attempt. Paths that timed out in earlier attempts are requested again. */
  begin(signal: AbortSignal | undefined): void {
    this.#signal = signal;
    this.#startedAt = this.#deps.elapsed();
    this.#attempts += 1;
    this.#answersBefore = this.#answerCount();
    this.#silences = 0;
    this.#isSettled = true;
    this.#isStarting = false;
    for (const path of this.#unanswered.keys()) if (this.#isWorthAsking(path)) this.#asked.delete(path);
  }

  /** Detects the protocol by requesting the front page over HTTP/1.1. For HTTP/2, call {@link openFront} next. */
  async open(): Promise<"http" | "http2" | "none"> {
    if (this.#target.http2) return "http2";
    if (this.answers.has("/")) return "http";
    let first = await this.#request("/");
    if (wantsTls(first)) {
      this.#target = { ...this.#target, tls: true };
      first = await this.#request("/");
    }
    if (wantsLocalhost(first, this.#target)) {
      this.#target = { ...this.#target, asLocalhost: true };
      first = await this.#request("/");
    }
    if (wantsHttp2(first, this.#target)) {
      this.#target = { ...this.#target, http2: true };
      return "http2";
    }
    return this.#keepFront(first) ? "http" : "none";
  }

  /** Requests the front page over HTTP/2. Returns true if the server responded. */
  async openFront(): Promise<boolean> {
    return this.answers.has("/") || this.#keepFront(await this.#request("/"));
  }

  /**
   * Requests those of the paths that were not requested before, until a limit of {@link FINGERPRINT_LIMITS}
   * is reached.
   */
  async ask(paths: readonly string[], bodyBytesMax: number = PROBE_LIMITS.BODY_BYTES_MAX): Promise<void> {
    const fresh = [...new Set(paths)].filter((path) => !this.#asked.has(path));
    while (fresh.length > 0 && !this.isOver()) {
      const askedAtMs = this.#deps.elapsed();
      await this.#batch(fresh, (path) => this.#askOne(path, bodyBytesMax));
      const durationMs = this.#deps.elapsed() - askedAtMs;
      const isQuick = this.#silences === 0 && durationMs <= FINGERPRINT_LIMITS.QUICK_MS;
      this.#atOnce = isQuick ? FINGERPRINT_LIMITS.AT_ONCE_QUICK : FINGERPRINT_LIMITS.AT_ONCE;
    }
  }

  /** Calls gRPC methods. Stops after the first batch if the server does not speak gRPC. */
  async call(methods: readonly string[], bodyBytesMax: number = PROBE_LIMITS.BODY_BYTES_MAX): Promise<void> {
    const fresh = methods.filter((method) => !this.#asked.has(method));
    while (fresh.length > 0 && !this.isOver()) {
      await this.#batch(fresh, (method) => this.#callOne(method, bodyBytesMax));
      if (this.grpc.size === 0) return;
    }
  }

  /** True if a limit of this attempt is reached. An attempt that runs out of time is marked as not settled. */
  isOver(): boolean {
    const { MS_MAX, MS_MAX_LATER, SILENCES_MAX, PATHS_MAX } = FINGERPRINT_LIMITS;
    const isLate = this.#deps.elapsed() - this.#startedAt > (this.#attempts > 1 ? MS_MAX_LATER : MS_MAX);
    if (isLate || this.#signal?.aborted || this.#silences >= SILENCES_MAX) this.#isSettled = false;
    return !this.#isSettled || this.#asked.size >= PATHS_MAX;
  }

  /** True if another attempt would find out nothing more. */
  isSettled(): boolean {
    return this.#isSettled && !this.#isStarting && !this.#hasUnanswered();
  }

  /**
   * True if one of these paths has no response yet and another attempt could get a response. False while the
   * server is starting.
   */
  lacks(paths: readonly string[]): boolean {
    return !this.#isStarting && paths.some((path) => this.#isWorthAsking(path));
  }

  /** True if the attempt ended before every path was requested. */
  isCutShort(): boolean {
    return !this.#isStarting && this.answers.size > 0 && (!this.#isSettled || this.#hasUnanswered());
  }

  /**
   * True if the server accepted the connection but has not responded yet. In that case, the next attempt has
   * a longer timeout.
   */
  isSilent(): boolean {
    return this.answers.size === 0 && this.#isSilent;
  }

  /**
   * True if another attempt may find out more, because the last attempt got new responses or was the only
   * attempt.
   */
  isHopeful(): boolean {
    return this.hasProgressed() || this.#attempts < HOPEFUL_ATTEMPTS;
  }

  /** True if the last attempt got new responses. */
  hasProgressed(): boolean {
    return this.#answerCount() > this.#answersBefore;
  }

  /**
   * Moves the responses to the memory budget of waiting sessions. Paths whose response does not fit are
   * requested again.
   */
  park(): void {
    this.#keeper.park(this.#deps.waiting ?? NO_LIMIT, (path) => {
      this.answers.delete(path);
      this.#asked.delete(path);
    });
  }

  /** Releases this session's share of the memory budget. The session must not be used afterwards. */
  close(): void {
    this.#keeper.close();
  }

  #request(path: string, bodyBytesMax?: number, isCall = false): Promise<ProbeResult> {
    const doubled = PROBE_LIMITS.TIMEOUT_MS * 2 ** (this.#attempts - 1);
    const timeoutMs = Math.min(doubled, FINGERPRINT_LIMITS.ANSWER_MS_MAX);
    return this.#deps.probe(this.#target, path, {
      signal: this.#signal,
      ...(bodyBytesMax !== undefined && { bodyBytesMax }),
      ...(this.#attempts > 1 && { timeoutMs }),
      ...(isCall && { grpc: true }),
    });
  }

  /** Takes the next batch of paths from `fresh` and requests them in parallel. */
  async #batch(fresh: string[], request: (path: string) => Promise<void>): Promise<void> {
    const batch = fresh.splice(0, this.#atOnce);
    for (const path of batch) this.#asked.add(path);
    await Promise.all(batch.map(request));
  }

  async #askOne(path: string, bodyBytesMax: number): Promise<void> {
    const result = await this.#request(path, bodyBytesMax);
    if ("failed" in result) return this.#noteFailure(path, result.failed);
    this.#unanswered.delete(path);
    if (!isStub(this.#front, result)) this.answers.set(path, this.#keeper.keep(path, result));
    if (result.status >= 500) this.#isStarting = true;
  }

  async #callOne(method: string, bodyBytesMax: number): Promise<void> {
    const result = await this.#request(method, bodyBytesMax, true);
    if ("failed" in result) return this.#noteFailure(method, result.failed);
    this.#unanswered.delete(method);
    const answer = readGrpc(method, result);
    if (answer) this.grpc.set(method, answer);
  }

  #noteFailure(path: string, failed: Failure): void {
    if (failed === "silent") {
      this.#silences += 1;
      this.#unanswered.set(path, (this.#unanswered.get(path) ?? 0) + 1);
    } else if (failed === "refused") this.#isStarting = true;
  }

  #keepFront(first: ProbeResult): boolean {
    this.#asked.add("/");
    if (!("failed" in first)) {
      this.#front = frontOf(first);
      this.answers.set("/", this.#keeper.keep("/", first));
      return true;
    }
    this.#isSettled = first.failed === "not-http" || first.failed === "tls";
    this.#isSilent = first.failed === "silent";
    return false;
  }

  #isWorthAsking(path: string): boolean {
    const attempts = this.#unanswered.get(path);
    return attempts === undefined ? !this.#asked.has(path) : attempts < FINGERPRINT_LIMITS.ATTEMPTS_MAX;
  }

  #hasUnanswered(): boolean {
    return [...this.#unanswered.keys()].some((path) => this.#isWorthAsking(path));
  }

  #answerCount(): number {
    return this.answers.size + this.grpc.size;
  }
}

/**
 * True if the response repeats the JSON of the front page. A server that returns the same JSON for every path
 * provides no evidence.
 */
const isStub = (front: Front | undefined, answer: Answer): boolean =>
  front !== undefined &&
  answer.status === 200 &&
  answer.body.length === front.length &&
  Bun.hash(answer.body) === front.hash;

/** Length and hash of the front page's JSON. Its body is not kept. */
type Front = { length: number; hash: number | bigint };

const frontOf = ({ status, body }: Answer): Front | undefined =>
  status === 200 && /^\s*[[{]/.test(body) ? { length: body.length, hash: Bun.hash(body) } : undefined;

type Failure = Extract<ProbeResult, { failed: unknown }>["failed"];

/**
 * True if the probe must use HTTP/2: a server that speaks only HTTP/2 closes a TLS connection if the client
 * does not offer HTTP/2.
 */
const wantsHttp2 = (result: ProbeResult, { tls }: Target): boolean =>
  "failed" in result && (result.failed === "http2" || (tls && result.failed === "not-http"));

/**
 * True if the server accepts only the host name `localhost`, as a protection from DNS rebinding. If the
 * request uses an IP address, Playwright MCP responds with "Access is only allowed at localhost:8931".
 */
const wantsLocalhost = (result: ProbeResult, { address }: Target): boolean =>
  !("failed" in result) &&
  result.status === 403 &&
  /^127\.|^::1$/.test(address) &&
  /\bonly\b.{0,40}\blocalhost:\d/i.test(result.body.slice(0, 256));

/**
 * True if the server requires TLS. On a TLS port, nginx and Go respond to plain HTTP with status 400 and a
 * text that mentions HTTPS.
 */
function wantsTls(result: ProbeResult): boolean {
  if ("failed" in result) return result.failed === "tls";
  return result.status === 400 && /\bHTTPS\b/.test(result.body);
}
