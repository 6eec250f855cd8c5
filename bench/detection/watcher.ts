import { join } from "node:path";
import type { Scope } from "../harness/scope.ts";
import { programOf } from "./program-of-process.ts";

export type Watcher = {
  /** Time of the first scan that reports one of these ids for the program, as returned by `performance.now()`. */
  firstAt: (program: string, ids: readonly string[]) => number | undefined;
  /** Stops the scanner and waits until its process has ended. */
  stop: () => Promise<unknown>;
};

/** Starts the scanner of the daemon and records when the scanner first reports each engine. */
export function startWatcher(scope: Scope, intervalMs: number): Watcher {
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "watcher-process.ts"), String(intervalMs)],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  scope.keep(() => child.kill());
  const seen: { program: string; id: string; atMs: number }[] = [];
  const note = (line: string): void => {
    const { fresh } = JSON.parse(line) as { fresh: { pid?: number; id: string }[] };
    for (const { pid, id } of fresh) {
      const program = pid === undefined ? undefined : programOf(pid);
      if (program !== undefined) seen.push({ program, id, atMs: performance.now() });
    }
  };
  void (async () => {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop()!;
      for (const line of lines) note(line);
    }
  })();
  return {
    firstAt: (program, ids) => seen.find((one) => one.program === program && ids.includes(one.id))?.atMs,
    stop: () => {
      child.kill();
      return child.exited;
    },
  };
}
