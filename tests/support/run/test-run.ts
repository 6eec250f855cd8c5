import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually, ROOT } from "../stack.ts";
import { isRunning, type Process } from "./descendants.ts";

const folders: string[] = [];
const started: Bun.Subprocess[] = [];

/**
 * Runs `tests/run.ts offline` in a repository that has one test with this body. The body creates the file
 * `up` when it starts.
 */
export function startTestRun(body: string) {
  const folder = mkdtempSync(join(tmpdir(), "lz-run-"));
  folders.push(folder);
  mkdirSync(join(folder, "tests/offline"), { recursive: true });
  writeFileSync(
    join(folder, "tests/offline/it.test.ts"),
    `import { test } from "bun:test";
    import { startStage } from "${ROOT}/local/stage.ts";
    import { startTestStack } from "${ROOT}/tests/support/stack.ts";
    import { namespaceId } from "${ROOT}/tests/support/run/namespace-id.ts";
    test("it", async () => {${body}});`,
  );
  const child = Bun.spawn([process.execPath, join(ROOT, "tests/run.ts"), "offline"], {
    env: { ...process.env, LZ_TEST_ROOT: folder },
    detached: true, // Runs the child in its own process group.
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  const up = join(folder, "up");
  const isUp = () => eventually(async () => existsSync(up) && readFileSync(up, "utf8"), 60_000);
  return { child, isUp };
}

export function removeTestRuns(): void {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
}

export const areGone = (processes: readonly Process[]) =>
  eventually(async () => !processes.some(isRunning), 10_000);
