import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEdge, type TestEdge, TOKEN, until } from "../offline/agent/report/send-edge.ts";
import { buildAgent } from "../support/agent/agent-binary.ts";
import { describeUnless } from "../support/missing.ts";

/*
 * Runs the compiled daemon on a full disk and on a read-only disk. The disk is a small file system in a
 * separate mount namespace. The tests are skipped on systems that do not allow namespaces.
 */

const NAMESPACES = [
  ["unshare", "--mount"],
  ["unshare", "--mount", "--user", "--map-root-user"],
] as const;
const around =
  process.platform === "linux" && Bun.which("unshare")
    ? NAMESPACES.find((command) => Bun.spawnSync([...command, "mount", "-t", "tmpfs", "x", "/mnt"]).success)
    : undefined;
const lacking = around ? [] : ["Linux and the right to a mount namespace"];

describeUnless(lacking, "dist/lz-agent run", () => {
  let binary: string;
  let edge: TestEdge;
  let directory: string;
  beforeEach(async () => {
    binary = buildAgent();
    edge = await startEdge();
    directory = mkdtempSync(join(tmpdir(), "lz-disk-"));
    const enrolled = Bun.spawn(
      [binary, "enroll", "--url", edge.url, "--state", join(directory, "enrolled")],
      {
        env: { ...process.env, LZ_ENROLL_TOKEN: TOKEN },
      },
    );
    expect(await enrolled.exited).toBe(0);
  }, 120_000);
  afterEach(async () => {
    await edge.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test.each([
    ["full", "! head -c 9m /dev/zero > $0/fill 2>/dev/null", "ENOSPC"],
    ["read-only", "mount -o remount,ro $0", "EROFS"],
  ])(
    "keeps reporting while the disk is %s, logs that, and exits with 0",
    async (_, spoil, code) => {
      const mountAndRun = `mkdir $0/d && cp -r $0/enrolled $0/e && mount -t tmpfs -o size=4m,mode=700 lz $0/d &&
        cp -r $0/e $0/d/st && set -- $0/d && (${spoil.replaceAll("$0", "$1")}); exec ${binary} run --state $1/st --interval 300`;
      const daemon = Bun.spawn([...around!, "sh", "-c", mountAndRun, directory], {
        stdout: "pipe",
        stderr: "pipe",
      });
      await until("heartbeats arrive", () => edge.taken.length >= 3, 60_000);
      daemon.kill("SIGTERM");
      const stderr = await new Response(daemon.stderr).text();
      expect(await daemon.exited).toBe(0);
      expect(stderr).toMatch(new RegExp(`error sequence\\.not-saved: .* reason=${code}$`, "m"));
      expect(stderr).toContain("warn  fingerprint.not-saved: ");
      expect(stderr.split("\n").filter((line) => line.includes("sequence.not-saved"))).toHaveLength(1);
      const order = edge.taken.map(({ sequence }) => sequence);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    },
    120_000,
  );
});
