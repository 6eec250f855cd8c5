import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { missing, testUnless } from "../../../../support/missing.ts";

const FILES = new URL("../../../../../agent/scan/system/files.ts", import.meta.url).pathname;

const home = mkdtempSync(join(tmpdir(), "collect-files-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

testUnless(
  missing("Linux"),
  "realFiles().bytes() opens only regular files, because opening a device can have effects",
  async () => {
    const fifo = join(home, "opened");
    expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
    // The shell process waits until another process opens the other end of the FIFO.
    const writer = Bun.spawn(["sh", "-c", `exec 3> "$0"`, fifo]);
    await Bun.sleep(50); // No event shows that the writer waits. If it does not wait yet, the next check proves less.
    expect(() => realFiles().bytes(fifo, 0, 10)).toThrow("not a regular file");
    expect(await Promise.race([writer.exited, Bun.sleep(300).then(() => "waits")])).toBe("waits");
    expect(Bun.spawnSync(["cat", fifo]).exitCode).toBe(0);
    expect(await writer.exited).toBe(0);
  },
);

testUnless(missing("Linux"), "realFiles() does not wait for a FIFO that has replaced a file", () => {
  const fifo = join(home, "config.json");
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0);
  // The script runs in a separate process, because a blocked read cannot be interrupted.
  const script = `import { optional, realFiles } from ${JSON.stringify(FILES)};
const files = realFiles();
for (const read of ["text", "line", "record"]) optional(() => files[read](process.argv[1], 100));
optional(() => files.bytes(process.argv[1], 0, 10));`;
  const { exitCode } = Bun.spawnSync([process.execPath, "-e", script, fifo], { timeout: 10_000 });
  expect(exitCode).toBe(0);
});
