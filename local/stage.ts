import type { Subprocess } from "bun";

/** A child process of the stack. */
export type Stage = {
  name: string;
  pid: number;
  exited: Promise<number>;
  /** Sends SIGTERM. Then sends SIGKILL if the process has not ended after `graceMs` milliseconds. */
  stop(graceMs?: number): Promise<void>;
  kill(signal: NodeJS.Signals): void;
};

export type StageOptions = {
  name: string;
  command: readonly string[];
  env: Record<string, string>;
  cwd: string;
  onLine: (stage: string, line: string) => void;
  /** Returns true for the output line that shows that the stage is ready. */
  isReady: (line: string) => boolean;
  readyMs?: number;
};

const READY_MS = 20_000;
/** Maximum time in milliseconds for a stage to stop before it is killed. */
export const STOP_GRACE_MS = 8_000;
/**
 * Number of output lines to show if a stage fails. The last line can belong to a stack trace, with the reason
 * a few lines above it.
 */
const LAST_LINES = 8;
const LAST_OUTPUT_MS = 500;

/** Error for a stage that did not start: its process ended, or it was not ready in time. */
export class StageFault extends Error {
  override name = "StageFault";
}

/**
 * Starts a stage and waits until it is ready. The stage gets its own process group, so Ctrl-C does not reach
 * it. This process can therefore stop the stages in an order that loses no messages. Throws {@link
 * StageFault}.
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
      last = [...last.slice(1 - LAST_LINES), line];
      options.onLine(options.name, line);
      if (options.isReady(line)) ready.resolve();
    });
  const output = Promise.all([read(child.stdout), read(child.stderr)]);
  const silence = setTimeout(
    () =>
      ready.reject(new StageFault(`${options.name} was not ready within ${options.readyMs ?? READY_MS} ms`)),
    options.readyMs ?? READY_MS,
  );
  void child.exited.then(async (code) => {
    // Wait a short time for the last output. The children of the stage can keep the pipe open for longer.
    await Promise.race([output, Bun.sleep(LAST_OUTPUT_MS)]);
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
