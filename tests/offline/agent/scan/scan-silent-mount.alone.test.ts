import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { createScanner, type Scanner, type ScanResult } from "../../../../agent/scan/scan.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { Dialogue } from "../contain/firewall/namespaces.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "./scan-gguf.ts";

/*
 * Test setup: a real FUSE file system that stops responding, and a process that maps a model from it. A
 * process that reads such a file waits in the kernel and cannot be killed.
 */

const home = mkdtempSync(join(tmpdir(), "scan-silent-"));
const SCAN_MS_MAX = 3000;
/** The agent abandons a reader process after two seconds. A busy machine needs longer to start a reader. */
const PATIENCE_MS = 30_000;

const isIn = ({ engines }: ScanResult, pid: number): boolean => engines.some((one) => one.pid === pid);
const weightsOf = ({ collectors }: ScanResult) => collectors.find(({ name }) => name === "weights")!;

describeUnless(
  missing("Linux", "root", "python3", "unshare", "/dev/fuse"),
  "a file system that stops responding",
  () => {
    let mount: Awaited<ReturnType<typeof startMount>>;
    let ordinary: Bun.Subprocess<"pipe", "pipe", "inherit">;
    let scanner: Scanner;

    async function startMount() {
      const mountpoint = join(home, "mount");
      mkdirSync(mountpoint);
      const script = join(import.meta.dir, "silent-mount.py");
      const command = ["unshare", "--mount", "python3", script, mountpoint];
      const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "ignore" });
      const dialogue = new Dialogue(child);
      return { pid: Number(await dialogue.hear()), dialogue };
    }

    beforeAll(async () => {
      mount = await startMount();
      const model = join(home, "ordinary.dat");
      writeFileSync(model, ggufFile(HOLIDAY_PHOTOS));
      const code = `import mmap,sys;f=open(${JSON.stringify(model)},"rb");m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);print("up",flush=True);sys.stdin.read()`;
      ordinary = Bun.spawn(["python3", "-c", code], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
      await ordinary.stdout.getReader().read();
      scanner = createScanner(
        systemReaders({
          platform: process.platform,
          procRoot: "/proc",
          selfPid: process.pid,
          homes: () => [home],
          clock: Date.now,
          elapsed: () => performance.now(),
        }),
      );
    });

    afterAll(async () => {
      await mount?.dialogue.end();
      ordinary?.kill();
      rmSync(home, { recursive: true, force: true });
    });

    /** Scans until the condition is true. Each scan must end quickly, although the file system does not respond. */
    async function scanUntil(isSo: (result: ScanResult) => boolean): Promise<ScanResult> {
      for (const untilMs = performance.now() + PATIENCE_MS; ; ) {
        const startedAtMs = performance.now();
        const result = await scanner.scan();
        expect(performance.now() - startedAtMs).toBeLessThan(SCAN_MS_MAX);
        if (isSo(result)) return result;
        if (performance.now() > untilMs) throw new Error(`never so: ${JSON.stringify(weightsOf(result))}`);
        // Wait until the agent has abandoned the reader or has received its response.
        await Bun.sleep(200);
      }
    }

    test(
      "does not stop the agent, which names what it could not read, reads everything else, and continues once the file system responds",
      async () => {
        await mount.dialogue.say("silent");
        const silent = await scanUntil((result) =>
          /sshfs file system does not respond/.test(weightsOf(result).detail ?? ""),
        );
        expect(weightsOf(silent)).toMatchObject({ status: "partial" });
        expect(isIn(silent, ordinary.pid)).toBe(true);
        expect(isIn(silent, mount.pid)).toBe(false);
        // If a reader process ends immediately after SIGKILL, it was not waiting in the kernel. Requests to
        // its file system are then rejected for a longer time.
        await Bun.sleep(500);
        await mount.dialogue.say("answer");
        const again = await scanUntil((result) => isIn(result, mount.pid));
        expect(weightsOf(again).detail ?? "").not.toContain("sshfs");
        expect(again.engines.find(({ pid }) => pid === mount.pid)).toMatchObject({ id: "unknown-weights" });
      },
      3 * PATIENCE_MS,
    );
  },
);
