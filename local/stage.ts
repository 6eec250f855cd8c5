import type { Subprocess } from "bun";

/** A child process of the stack. */
export type Stage = {
  name: string;
  pid: number;
  exited: Promise<number>;
  /** SIGTERM, and SIGKILL for one that has not ended within `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
};

export type StageOptions = {
  name: string;
  command: readonly string[];
  env: Record<string, string>;
  cwd: string;
  onLine: (stage: string, line: string) => void;
  /** The stage is up when it has printed a line that this accepts. */
  isReady: (line: string) => boolean;
  readyMs?: number;
};

const READY_MS = 20_000;
/** How long a stage may take to stop before it is killed. */
export const STOP_GRACE_MS = 8_000;
/** Of a stage that ended: the newest line may be an address of its stack, and the reason some lines above. */
const LINES_TOLD = 8;
const LAST_WORDS_MS = 500;

/** A stage did not come up: it ended, or stayed silent. */
export class StageFault extends Error {
  override name = "StageFault";
}

/**
 * Starts a stage and waits until it is up. It gets a process group of its own: Ctrl-C reaches only us, and we
 * stop the stages in the order that loses nothing.
 */
export async function startStage(options: StageOptions): Promise<Stage> {
  const child = Bun.spawn([...options.command], {
    cwd: options.cwd,
    env: options.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  });
  const ready = Promise.withResolvers<void>();
  let last: string[] = [];
  const read = (stream: ReadableStream<Uint8Array>) =>
    readLines(stream, (line) => {
      last = [...last.slice(1 - LINES_TOLD), line];
      options.onLine(options.name, line);
      if (options.isReady(line)) ready.resolve();
    });
  const said = Promise.all([read(child.stdout), read(child.stderr)]);
  const silence = setTimeout(
    () => ready.reject(new StageFault(`${options.name} was not up within ${options.readyMs ?? READY_MS} ms`)),
    options.readyMs ?? READY_MS,
  );
  void child.exited.then(async (code) => {
    // Its last words may come behind its end, and its own children may keep its output open.
    await Promise.race([said, Bun.sleep(LAST_WORDS_MS)]);
    ready.reject(new StageFault(`${options.name} ended with code ${code}: ${last.join("\n  ")}`));
  });
  const stage = stageOf(options.name, child);
  try {
    await ready.promise;
  } catch (error) {
    await stage.stop();
    throw error;
  } finally {
    clearTimeout(silence);
  }
  return stage;
}

function stageOf(name: string, child: Subprocess): Stage {
  const kill = (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
  };
  return {
    name,
    pid: child.pid,
    exited: child.exited,
    kill,
    async stop(graceMs = STOP_GRACE_MS) {
      kill("SIGTERM");
      const late = setTimeout(() => kill("SIGKILL"), graceMs);
      await child.exited;
      clearTimeout(late);
    },
  };
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line.trim() !== "") onLine(line);
  }
  if (rest.trim() !== "") onLine(rest);
}
