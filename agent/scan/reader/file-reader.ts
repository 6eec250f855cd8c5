import { join } from "node:path";
import { type Files, optional } from "../system/files.ts";
import { parseStat } from "../system/linux-process.ts";
import { type ReadAnswers, type ReadOutcome, type ReadRequest, SIGN } from "./read-request.ts";

/**
 * Timeout of one file operation. An operation on a disk that has to spin up exceeds this timeout and is
 * retried later.
 */
export const ANSWER_MS_MAX = 2000;
/**
 * Timeout of a whole request. One file system on which every operation is slow must not delay requests to
 * other file systems.
 */
const REQUEST_MS_MAX = {
  directory: 60_000,
  settings: 30_000,
  sha256: 60_000,
  weights: 10_000,
  "weight-files": 10_000,
  facts: 10_000,
  list: 10_000,
  socket: 10_000,
};
/** Maximum timeout of a request on a busy host, where the reader is runnable and waits for a processor. */
const STARVED_MS_MAX = 30_000;
/** Timeout from the start of the reader process to its first liveness signal. */
const START_MS_MAX = 15_000;
/** An idle reader process ends after this time, to free its memory. */
const IDLE_MS = 3000;
/**
 * Maximum number of reader processes that hang in the kernel. SIGKILL does not end a process while it waits
 * for a file system.
 */
const STUCK_MAX = 3;
/** Pause before the first retry on a file system that did not respond. The pause doubles with each further timeout. */
export const RETRY_MS = 30_000;
const RETRY_MS_MAX = 600_000;
/** Maximum time from SIGKILL to the end of a process that was not waiting for its file system. */
const KILLED_MS_MAX = 300;
const QUEUE_MAX = 4096;

export type Reader = {
  /**
   * Reads files in the child process. `place` names the file system or directory of the request. After a
   * timeout, further requests to the same place fail immediately with `unanswered` until the pause is over.
   */
  ask<R extends ReadRequest>(request: R, place: string): Promise<ReadOutcome<ReadAnswers[R["op"]]>>;
  /** False while requests to this place are rejected. */
  isAnswering(place: string): boolean;
};

/** A reader without a child process. It is for tests, and for files on file systems that always respond. */
export const inProcessReader = (
  perform: (request: ReadRequest) => ReadOutcome<ReadAnswers[keyof ReadAnswers]>,
): Reader => ({
  ask: (async (request: ReadRequest) => perform(request)) as Reader["ask"],
  isAnswering: () => true,
});

/**
 * The command that starts the reader. It is the compiled binary itself, or the source file if the agent runs
 * from source.
 */
export function readerCommand(): string[] {
  const isCompiled = /^(?:\/\$bunfs|[A-Z]:[\\/]~BUN)/i.test(import.meta.dir);
  return isCompiled
    ? [process.execPath, "reader"]
    : [process.execPath, join(import.meta.dir, "../reader-process/reader-process.ts")];
}

type Dependencies = {
  /** The command that starts the reader process. */
  command: readonly string[];
  /** Monotonic clock in milliseconds. */
  elapsed: () => number;
  files: Files;
  procRoot: string;
};

/**
 * Reads files in a child process. The process starts with the first request and ends when it is idle. A
 * process that exceeds the timeout of a file operation is killed, and a new one continues with the remaining
 * requests. At most {@link STUCK_MAX} processes can hang in the kernel; all requests then fail until one of
 * these processes ends.
 */
export function createReader(deps: Dependencies): Reader {
  const reader = new ChildProcessReader(deps);
  return {
    ask: (request, place) => reader.ask(request, place),
    isAnswering: (place) => reader.isAnswering(place),
  };
}

/** Backoff per place. Stores the time at which a file system that did not respond can be read again. */
class SilentPlaces {
  readonly #silent = new Map<string, { untilMs: number; retryMs: number }>();
  readonly #elapsed: () => number;

  constructor(elapsed: () => number) {
    this.#elapsed = elapsed;
  }

  isSilent(place: string): boolean {
    return (this.#silent.get(place)?.untilMs ?? 0) > this.#elapsed();
  }

  noteTimeout(place: string): void {
    const retryMs = this.#silent.get(place)?.retryMs ?? RETRY_MS;
    const untilMs = this.#elapsed() + retryMs;
    this.#silent.set(place, { untilMs, retryMs: Math.min(retryMs * 2, RETRY_MS_MAX) });
  }

  noteResponse(place: string): void {
    this.#silent.delete(place);
  }
}

type Job = { request: ReadRequest; place: string; resolve: (outcome: ReadOutcome<never>) => void };
type Child = Bun.Subprocess<"pipe", "pipe", "ignore">;

class ChildProcessReader {
  readonly #deps: Dependencies;
  readonly #queue: Job[] = [];
  readonly #places: SilentPlaces;
  readonly #stuck = new Set<Child>();
  #child: Child | undefined;
  #current: Job | undefined;
  #isStarting = false;
  #startedAtMs = 0;
  #lastPlace = "";
  #timer: Timer | undefined;
  #waitedMs = 0;

  constructor(deps: Dependencies) {
    this.#deps = deps;
    this.#places = new SilentPlaces(deps.elapsed);
  }

  ask<R extends ReadRequest>(request: R, place: string): Promise<ReadOutcome<ReadAnswers[R["op"]]>> {
    return new Promise((resolve) => {
      if (this.isAnswering(place) && this.#queue.length < QUEUE_MAX) {
        this.#queue.push({ request, place, resolve });
        this.#proceed();
      } else resolve({ miss: "unanswered" });
    });
  }

  isAnswering(place: string): boolean {
    return this.#stuck.size < STUCK_MAX && !this.#places.isSilent(place);
  }

  #proceed(): void {
    if (this.#current) return;
    let next = this.#takeNext();
    while (next && !this.isAnswering(next.place)) {
      next.resolve({ miss: "unanswered" });
      next = this.#takeNext();
    }
    if (next) this.#begin(next);
    else this.#endWhenIdle();
  }

  /** Alternates between places, so that one place does not delay the others. */
  #takeNext(): Job | undefined {
    const at = this.#queue.findIndex(({ place }) => place !== this.#lastPlace);
    return this.#queue.splice(Math.max(at, 0), 1)[0];
  }

  #begin(next: Job): void {
    this.#current = next;
    this.#lastPlace = next.place;
    this.#startedAtMs = this.#deps.elapsed();
    try {
      this.#child ??= this.#start();
      this.#child.stdin.write(`${JSON.stringify(next.request)}\n`);
      this.#child.stdin.flush();
      this.#watch(this.#isStarting ? START_MS_MAX : ANSWER_MS_MAX);
    } catch {
      this.#settle({ miss: "failed" });
    }
  }

  #start(): Child {
    const started = Bun.spawn([...this.#deps.command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      ...(process.platform !== "win32" && { cwd: "/" }),
      env: {},
      windowsHide: true,
    });
    started.unref();
    this.#isStarting = true;
    void this.#listen(started);
    return started;
  }

  async #listen(to: Child): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of to.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) if (to === this.#child) this.#receive(line);
      }
    } catch {
      // Ignore the error, because the process has been killed.
    }
    if (to !== this.#child) return;
    // The agent did not end the reader process. It ran out of memory, or another process killed it.
    this.#child = undefined;
    if (this.#current) this.#settle({ miss: "failed" });
  }

  #receive(line: string): void {
    this.#isStarting = false;
    const job = this.#current;
    if (line !== SIGN) {
      if (job) this.#places.noteResponse(job.place);
      this.#settle(optional(() => JSON.parse(line) as ReadOutcome<never>) ?? { miss: "failed" });
    } else if (job && this.#deps.elapsed() - this.#startedAtMs < REQUEST_MS_MAX[job.request.op])
      this.#watch(ANSWER_MS_MAX);
    else if (this.#child && job) this.#giveUp(this.#child, job);
  }

  #settle(outcome: ReadOutcome<never>): void {
    clearTimeout(this.#timer);
    const job = this.#current;
    this.#current = undefined;
    job?.resolve(outcome);
    this.#proceed();
  }

  #watch(ms: number): void {
    clearTimeout(this.#timer);
    this.#waitedMs = 0;
    this.#timer = setTimeout(() => this.#expire(ms), ms);
  }

  #expire(ms: number): void {
    if (!this.#child || !this.#current) return;
    this.#waitedMs += ms;
    if (this.#isRunnable(this.#child.pid) && this.#waitedMs < STARVED_MS_MAX) {
      this.#timer = setTimeout(() => this.#expire(ms), ms);
      return;
    }
    this.#giveUp(this.#child, this.#current);
  }

  /** True if the process waits for a processor and not for a file system. */
  #isRunnable(pid: number): boolean {
    const { files, procRoot } = this.#deps;
    return optional(() => parseStat(files.line(`${procRoot}/${pid}/stat`)))?.state === "R";
  }

  #giveUp(child: Child, { place }: Job): void {
    this.#places.noteTimeout(place);
    this.#child = undefined;
    this.#stuck.add(child);
    const killedAtMs = this.#deps.elapsed();
    child.kill("SIGKILL");
    void child.exited.then(() => {
      this.#stuck.delete(child);
      // The process ended late because the kernel waited for the file system, which now responds again.
      if (this.#deps.elapsed() - killedAtMs > KILLED_MS_MAX) this.#places.noteResponse(place);
    });
    this.#settle({ miss: "unanswered" });
  }

  #endWhenIdle(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#current || !this.#child) return;
      const idle = this.#child;
      this.#child = undefined;
      idle.stdin.end();
    }, IDLE_MS);
    this.#timer.unref();
  }
}
