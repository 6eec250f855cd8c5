import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, realpathSync } from "node:fs";
import type { ScanResult } from "../../../../agent/scan/scan.ts";
import { describeUnless, missing } from "../../../support/missing.ts";
import { type Dozen, faultsOf, startDozen } from "../../../support/programs/twelve-engines.ts";

/* Runs the agent from source on this host. The tests ignore other processes of the host. */

const SCANS_MAX = 8;

describeUnless(missing("Linux"), "lz-agent scan --json", () => {
  let dozen: Dozen;
  const results: ScanResult[] = [];

  beforeAll(async () => {
    dozen = await startDozen();
    const main = new URL("../../../../agent/main.ts", import.meta.url).pathname;
    // On a busy machine, a server may not respond in time. The test then repeats the scan.
    do {
      const command = [process.execPath, main, "scan", "--json"];
      const scan = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
      results.push(JSON.parse(await new Response(scan.stdout).text()) as ScanResult);
    } while (results.length < SCANS_MAX && faultsOf(results.at(-1)!.engines, dozen.engines).length > 0);
  }, 120_000);
  afterAll(() => dozen?.stop());

  test("names each of twelve engines on random ports, including renamed ones and those that need TLS or a token", () => {
    expect(dozen.engines.length).toBeGreaterThanOrEqual(12);
    expect(faultsOf(results.at(-1)!.engines, dozen.engines)).toEqual([]);
  });

  test("reports no other process, and not the agent itself", () => {
    const ordinary = new Set(dozen.ordinary);
    for (const { engines } of results)
      expect(engines.filter(({ pid }) => ordinary.has(pid ?? -1)).map(({ id }) => id)).toEqual([]);
    const mine = new Set(dozen.engines.map(({ pid }) => pid));
    const named = results.at(-1)!.engines.filter(({ pid }) => mine.has(pid ?? -1));
    expect(named).toHaveLength(dozen.engines.length);
  });

  test("hashes each executable in a single scan, independent of its size", () => {
    const hashes = new Map<string, string>();
    for (const { pid } of dozen.engines) {
      const file = realpathSync(`/proc/${pid}/exe`);
      if (!hashes.has(file)) hashes.set(file, new Bun.SHA256().update(readFileSync(file)).digest("hex"));
      const found = results.at(-1)!.engines.find((engine) => engine.pid === pid);
      expect(found?.executableSha256).toBe(hashes.get(file));
    }
  });
});
