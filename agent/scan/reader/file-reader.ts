import { join } from "node:path";
import { type Files, optional } from "../system/files.ts";
import { parseStat } from "../system/linux-process.ts";
import { type ReadAnswers, type ReadOutcome, type ReadRequest, SIGN } from "./read-request.ts";

/** One file operation may take this long. A disk that has to spin up takes longer and is asked again later. */
export const ANSWER_MS_MAX = 2000;
/** All of a request: a file system that is slow each time must not keep the others waiting. */
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
/** Of a host where everything waits for a processor: the reader is given more time while it is runnable. */
const STARVED_MS_MAX = 30_000;
/** From the start of the process to its first sign of life. */
const START_MS_MAX = 15_000;
/** A reader that is not needed takes no memory. */
const IDLE_MS = 3000;
/** A process that waits in the kernel for a file system cannot be killed. So many of them may wait at a time. */
export const STUCK_MAX = 3;
/** A file system that did not answer is asked again after this long, then twice as long, and so on. */
export const RETRY_MS = 30_000;
const RETRY_MS_MAX = 600_000;
/** A killed process that ends within this time did not wait for its file system. */
const KILLED_MS_MAX = 300;
const QUEUE_MAX = 4096;

export type Reader = {
  /**
   * Reads in the child process. `place` names the file system or directory that is asked: after one request to it was
   * not answered, the next ones are refused at once for a while.
   */
  ask<R extends ReadRequest>(request: R, place: string): Promise<ReadOutcome<ReadAnswers[R["op"]]>>;
  /** False while requests to this place are refused. */
  isAnswering(place: string): boolean;
};

/** Reads in this very process, for tests and for files that are known to answer. */
export const inProcessReader = (
  perform: (request: ReadRequest) => ReadOutcome<ReadAnswers[keyof ReadAnswers]>,
): Reader => ({
  ask: (async (request: ReadRequest) => perform(request)) as Reader["ask"],
  isAnswering: () => true,
});

type Job = { request: ReadRequest; place: string; resolve: (outcome: ReadOutcome<never>) => void };
type Child = Bun.Subprocess<"pipe", "pipe", "ignore">;
type Silence = { untilMs: number; retryMs: number };

/** The command that runs the reader: this binary, or its source where that is what runs. */
export function readerCommand(): string[] {
  const isCompiled = /^(?:\/\$bunfs|[A-Z]:[\\/]~BUN)/i.test(import.meta.dir);
  return isCompiled
    ? [process.execPath, "reader"]
    : [process.execPath, join(import.meta.dir, "../reader-process/reader-process.ts")];
}

/**
 * Reads files in a child process, which is started when there is something to read and ended when there was nothing for
 * a while. A reader that does not come back from a file operation is killed and abandoned, and another one goes on with
 * the rest. At most {@link STUCK_MAX} may be stuck in the kernel; until one of them ends nothing else is read.
 */
export function createReader(deps: {
  command: readonly string[];
  elapsed: () => number;
  files: Files;
  procRoot: string;
}): Reader {
  const queue: Job[] = [];
  const silent = new Map<string, Silence>();
  const stuck = new Set<Child>();
  let child: Child | undefined;
  let current: Job | undefined;
  let isStarting = false;
  let startedAtMs = 0;
  let lastPlace = "";
  let timer: Timer | undefined;
  let waitedMs = 0;

  return {
    ask: (request, place) =>
      new Promise((resolve) => {
        if (isAnswering(place) && queue.length < QUEUE_MAX) {
          queue.push({ request, place, resolve });
          proceed();
        } else resolve({ miss: "unanswered" });
      }),
    isAnswering,
  };

  function isAnswering(place: string): boolean {
    return stuck.size < STUCK_MAX && (silent.get(place)?.untilMs ?? 0) <= deps.elapsed();
  }

  function proceed(): void {
    if (current) return;
    let next = takeNext();
    while (next && !isAnswering(next.place)) {
      next.resolve({ miss: "unanswered" });
      next = takeNext();
    }
    if (next) begin(next);
    else endWhenIdle();
  }

  function begin(next: Job): void {
    current = next;
    lastPlace = next.place;
    startedAtMs = deps.elapsed();
    try {
      child ??= start();
      child.stdin.write(`${JSON.stringify(next.request)}\n`);
      child.stdin.flush();
      watch(isStarting ? START_MS_MAX : ANSWER_MS_MAX);
    } catch {
      settle({ miss: "failed" });
    }
  }

  /** Places take turns. */
  function takeNext(): Job | undefined {
    const at = queue.findIndex(({ place }) => place !== lastPlace);
    return queue.splice(Math.max(at, 0), 1)[0];
  }

  function start(): Child {
    const started = Bun.spawn([...deps.command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "ignore",
      ...(process.platform !== "win32" && { cwd: "/" }),
      env: {},
      windowsHide: true,
    });
    started.unref();
    isStarting = true;
    void listen(started);
    return started;
  }

  async function listen(to: Child): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of to.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop()!;
        for (const line of lines) if (to === child) heard(line);
      }
    } catch {
      // It was killed.
    }
    if (to !== child) return;
    // It ended by itself: out of memory, or killed by somebody.
    child = undefined;
    if (current) settle({ miss: "failed" });
  }

  function heard(line: string): void {
    isStarting = false;
    if (line !== SIGN) {
      if (current) silent.delete(current.place);
      settle(optional(() => JSON.parse(line) as ReadOutcome<never>) ?? { miss: "failed" });
    } else if (current && deps.elapsed() - startedAtMs < REQUEST_MS_MAX[current.request.op])
      watch(ANSWER_MS_MAX);
    else if (child && current) giveUp(child, current);
  }

  function settle(outcome: ReadOutcome<never>): void {
    clearTimeout(timer);
    const job = current;
    current = undefined;
    job?.resolve(outcome);
    proceed();
  }

  function watch(ms: number): void {
    clearTimeout(timer);
    waitedMs = 0;
    timer = setTimeout(() => expire(ms), ms);
  }

  function expire(ms: number): void {
    if (!child || !current) return;
    waitedMs += ms;
    if (isRunnable(child.pid) && waitedMs < STARVED_MS_MAX) {
      timer = setTimeout(() => expire(ms), ms);
      return;
    }
    giveUp(child, current);
  }

  function giveUp(one: Child, job: Job): void {
    abandon(one, job);
    settle({ miss: "unanswered" });
  }

  /** It waits for a processor, not for a file system. */
  function isRunnable(pid: number): boolean {
    const stat = optional(() => parseStat(deps.files.line(`${deps.procRoot}/${pid}/stat`)));
    return stat?.state === "R";
  }

  function abandon(one: Child, { place }: Job): void {
    const retryMs = silent.get(place)?.retryMs ?? RETRY_MS;
    silent.set(place, { untilMs: deps.elapsed() + retryMs, retryMs: Math.min(retryMs * 2, RETRY_MS_MAX) });
    child = undefined;
    stuck.add(one);
    const killedAtMs = deps.elapsed();
    one.kill("SIGKILL");
    void one.exited.then(() => {
      stuck.delete(one);
      // The kernel let it go: the file system answers again.
      if (deps.elapsed() - killedAtMs > KILLED_MS_MAX) silent.delete(place);
    });
  }

  function endWhenIdle(): void {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (current || !child) return;
      const idle = child;
      child = undefined;
      idle.stdin.end();
    }, IDLE_MS);
    timer.unref();
  }
}
