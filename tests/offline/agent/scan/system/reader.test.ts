import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ANSWER_MS_MAX,
  createReader,
  RETRY_MS,
  readerCommand,
} from "../../../../../agent/scan/reader/file-reader.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";

const directory = mkdtempSync(join(tmpdir(), "collect-reader-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const model = join(directory, "holiday-photos.dat");
writeFileSync(model, ggufFile(HOLIDAY_PHOTOS));

const readerOf = (command: readonly string[], elapsed = () => performance.now()) =>
  createReader({ command, elapsed, files: realFiles(), procRoot: "/proc" });

/** Command that starts a reader. This reader counts its starts and never responds to requests for this path. */
const silentAbout = (path: string, starts: string): string[] => [
  "sh",
  "-c",
  `echo x >> ${starts}; echo .; while read -r line; do case "$line" in *${path}*) exec sleep 60;; *) echo '{"value":[]}';; esac; done`,
];

describe("createReader()", () => {
  test("reads in a child process", async () => {
    const reader = readerOf(readerCommand());
    const weights = { op: "weights", paths: ["/nowhere", model], sizeBytesMin: 24 } as const;
    expect(await reader.ask(weights, "a")).toMatchObject({ value: { format: "gguf" } });
    expect(await reader.ask({ op: "list", path: directory }, "a")).toEqual({ value: ["holiday-photos.dat"] });
    expect(await reader.ask({ op: "facts", path: "/nowhere" }, "a")).toEqual({ miss: "gone" });
    const digest = await reader.ask({ op: "sha256", path: model, sizeBytesMax: 1e9 }, "a");
    const hasher = new Bun.CryptoHasher("sha256").update(await Bun.file(model).bytes());
    expect(digest).toEqual({ value: hasher.digest("hex") });
  });

  test("abandons a path that does not respond, continues with the others, and rejects that path for a while", async () => {
    const starts = join(directory, "starts");
    let nowMs = 0;
    const reader = readerOf(silentAbout("/silent", starts), () => nowMs);
    const startedAtMs = performance.now();
    const answers = await Promise.all([
      reader.ask({ op: "list", path: "/silent/a" }, "silent"),
      reader.ask({ op: "list", path: "/silent/b" }, "silent"),
      reader.ask({ op: "list", path: "/other" }, "other"),
    ]);
    const tookMs = performance.now() - startedAtMs;
    expect(answers).toEqual([{ miss: "unanswered" }, { miss: "unanswered" }, { value: [] }]);
    // All requests to the same place share one timeout.
    expect(tookMs).toBeLessThan(2 * ANSWER_MS_MAX);
    expect(reader.isAnswering("silent")).toBe(false);
    expect(reader.isAnswering("other")).toBe(true);
    nowMs += RETRY_MS;
    expect(reader.isAnswering("silent")).toBe(true);
    expect(await reader.ask({ op: "list", path: "/back" }, "silent")).toEqual({ value: [] });
    expect((await Bun.file(starts).text()).split("\n").length - 1).toBe(2);
  });

  test("fails a request if the child process ends, and starts another one for the next request", async () => {
    const reader = readerOf(["sh", "-c", "read -r line; exit 1"]);
    expect(await reader.ask({ op: "list", path: "/" }, "a")).toEqual({ miss: "failed" });
    expect(await reader.ask({ op: "list", path: "/" }, "a")).toEqual({ miss: "failed" });
    expect(await readerOf(["/nowhere/reader"]).ask({ op: "list", path: "/" }, "a")).toEqual({
      miss: "failed",
    });
  });

  test("starts the process with the first request, and ends it when it is idle", async () => {
    const pids = join(directory, "pids");
    const reader = readerOf([
      "sh",
      "-c",
      `echo $$ >> ${pids}; echo .; while read -r l; do echo '{"value":[]}'; done`,
    ]);
    expect(await Bun.file(pids).exists()).toBe(false);
    await reader.ask({ op: "list", path: "/" }, "a");
    const pid = Number(await Bun.file(pids).text());
    const isAlive = () => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    expect(isAlive()).toBe(true);
    for (let tries = 0; isAlive() && tries < 100; tries += 1) await Bun.sleep(100);
    expect(isAlive()).toBe(false);
  }, 15_000);
});
