import { beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { ScanResult } from "../../agent/scan/scan.ts";
import { buildAgent } from "../support/agent/agent-binary.ts";
import { describeUnless, missing, testUnless } from "../support/missing.ts";
import { faultsOf, type Started } from "../support/programs/twelve-engines.ts";
import { ROOT } from "../support/stack.ts";

/*
 * Runs the compiled agent on a host with twelve engines on random ports, beside unrelated servers. The host
 * is a process namespace and a network namespace. Without namespaces, the tests count only processes that
 * they started, and one test is skipped.
 */

const NAMESPACE = ["unshare", "--fork", "--pid", "--net", "--mount-proc", "--kill-child"];

/**
 * Command that runs a program in new namespaces: as root, or as root of a user namespace. Empty if neither is
 * possible.
 */
function namespace(): readonly string[] {
  for (const command of [NAMESPACE, [...NAMESPACE, "--user", "--map-root-user"]]) {
    if (Bun.which("unshare") && Bun.spawnSync([...command, "true"]).success) return command;
  }
  return [];
}

/** The object that `lz-agent scan --json` prints. */
type PrintedScan = ScanResult & { status: "complete" | "partial"; missing: string[] };

type Seen = {
  scans: { code: number; stdout: string; stderr: string }[];
  engines: Started[];
  ordinary: number[];
};

describeUnless(missing("Linux"), "dist/lz-agent scan --json", () => {
  const around = namespace();
  const isInOwnNamespaces = around.length > 0;
  let binary: string;
  let seen: Seen;
  let results: PrintedScan[];

  beforeAll(async () => {
    binary = buildAgent();
    const script = join(ROOT, "tests/support/programs/twelve-engines-host.ts");
    const host = Bun.spawn([...around, process.execPath, script, binary], {
      stdout: "pipe",
      stderr: "inherit",
    });
    seen = JSON.parse(await new Response(host.stdout).text()) as Seen;
    results = seen.scans.map(({ stdout }) => JSON.parse(stdout) as PrintedScan);
  }, 180_000);

  test("exits with 0 without a word on stderr, or with 4 and the reason if the scan was partial, and prints one object that matches the schema", () => {
    for (const [at, { code, stdout, stderr }] of seen.scans.entries()) {
      if (results[at]!.status === "complete") expect([code, stderr]).toEqual([0, ""]);
      else expect([code, stderr]).toEqual([4, expect.stringMatching(/^lz-agent: partial: .+\n$/)]);
      expect(stdout.trimEnd().split("\n")).toHaveLength(1);
      expect(Object.keys(results[at]!).sort()).toEqual([
        "collectors",
        "durationMs",
        "engines",
        "missing",
        "status",
        "stores",
      ]);
    }
  });

  test("names each of twelve engines on random ports, including renamed ones and those that need TLS or a token", () => {
    expect(seen.engines.length).toBeGreaterThanOrEqual(12);
    expect(new Set(seen.engines.map(({ wanted }) => wanted.id)).size).toBeGreaterThanOrEqual(12);
    expect(seen.engines.filter(({ wanted }) => wanted.as).length).toBeGreaterThanOrEqual(3);
    expect(seen.engines.filter(({ wanted }) => wanted.tls).length).toBeGreaterThanOrEqual(3);
    expect(seen.engines.filter(({ wanted }) => wanted.token).length).toBeGreaterThanOrEqual(3);
    expect(faultsOf(results.at(-1)!.engines, seen.engines)).toEqual([]);
    // A scan that missed an engine must have reported that the scan was partial.
    for (const { collectors } of results.slice(0, -1))
      expect(collectors.find(({ name }) => name === "http")?.status).toBe("partial");
  });

  /** Returns the engines that any scan reported although this test did not start them. */
  const unwanted = (isCounted: (pid: number | undefined) => boolean): string[] => {
    const wanted = seen.engines.map(({ wanted: { id }, pid }) => `${id} ${pid}`);
    const named = results.flatMap(({ engines }) => engines.filter(({ pid }) => isCounted(pid)));
    return named.map(({ id, pid }) => `${id} ${pid}`).filter((one) => !wanted.includes(one));
  };

  test("names no ordinary server in any scan", () => {
    const mine = new Set<number | undefined>([...seen.engines.map(({ pid }) => pid), ...seen.ordinary]);
    expect(unwanted((pid) => mine.has(pid))).toEqual([]);
  });

  const alone = isInOwnNamespaces ? [] : ["the right to namespaces"];
  testUnless(alone, "names nothing else on a separate host in any scan", () => {
    expect(unwanted(() => true)).toEqual([]);
    console.log(
      `${seen.engines.length} engines beside ${seen.ordinary.length} ordinary servers, ` +
        `scans of ${results.map(({ durationMs }) => Math.round(durationMs)).join(", ")} ms`,
    );
  });
});
