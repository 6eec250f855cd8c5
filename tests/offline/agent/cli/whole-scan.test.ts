import { describe, expect, test } from "bun:test";
import { completenessOf } from "../../../../agent/cli/scan.ts";
import { scanWhole, type WholeScan } from "../../../../agent/cli/whole-scan.ts";
import type { ScanReport } from "../../../../agent/scan/scan.ts";
import type { Collector } from "../../../../shared/wire/heartbeat.ts";
import { makeEngine } from "../../../support/agent/make-engine.ts";

const NEVER = new AbortController().signal;

/**
 * A fake scanner. Each scan returns the next entry of the list. After the end of the list, each scan returns
 * the last entry.
 */
function scripted(
  results: { engines?: string[]; collectors?: Collector[]; durationMs?: number; waiting?: string[] }[],
) {
  let scans = 0;
  const scan = async (): Promise<WholeScan> => {
    const {
      engines = [],
      collectors = [],
      durationMs = 10,
      waiting = [],
    } = results[Math.min(scans++, results.length - 1)]!;
    return {
      engines: engines.map((id) => makeEngine({ id })),
      collectors,
      durationMs,
      waiting,
    };
  };
  return { scan, scans: () => scans };
}

const partial = (detail: string): Collector => ({ name: "weights", status: "partial", detail });
const idsOf = ({ engines }: ScanReport) => engines.map(({ id }) => id);

describe("scanWhole()", () => {
  test("scans until two consecutive scans have the same result, and reports the duration of all scans", async () => {
    const scanner = scripted([{ engines: ["a"] }, { engines: ["a", "b"] }]);
    const result = await scanWhole(scanner, NEVER);
    expect([idsOf(result), scanner.scans()]).toEqual([["a", "b"], 3]);
    expect(result.durationMs).toBe(230);
  });

  test("continues while a partial collector makes progress", async () => {
    const waiting = [partial("9 wait"), partial("4 wait")].map((one) => ({ collectors: [one] }));
    const scanner = scripted([...waiting, { engines: ["late"] }]);
    expect(idsOf(await scanWhole(scanner, NEVER))).toEqual(["late"]);
  });

  test("does not wait for a collector without permission, which reports the same result in each scan", async () => {
    const scanner = scripted([{ engines: ["a"], collectors: [partial("3 have no readable owner")] }]);
    await scanWhole(scanner, NEVER);
    expect(scanner.scans()).toBe(2);
  });

  test("ends after eight scans or ten seconds on a host that changes all the time", async () => {
    const restless = scripted(Array.from({ length: 20 }, (_, at) => ({ engines: [`e${at}`] })));
    await scanWhole(restless, NEVER);
    expect(restless.scans()).toBe(8);
    const slow = scripted([{ engines: ["a"], durationMs: 6000 }, { engines: ["b"], durationMs: 6000 }, {}]);
    await scanWhole(slow, NEVER);
    expect(slow.scans()).toBe(2);
  });

  test("continues while work is left for a later scan, although two scans have the same result", async () => {
    const waiting = Array.from({ length: 12 }, () => ({ waiting: ["3 listeners"] }));
    const scanner = scripted([...waiting, { engines: ["slow"] }]);
    const result = await scanWhole(scanner, NEVER, undefined, 60_000);
    expect([idsOf(result), result.waiting]).toEqual([["slow"], []]);
  });

  test("stops at the time limit, and names the work that is left", async () => {
    const scanner = scripted([{ engines: ["a"], waiting: ["12 processes"], durationMs: 200 }]);
    const result = await scanWhole(scanner, NEVER, undefined, 1000);
    expect([result.waiting, scanner.scans()]).toEqual([["12 processes"], 4]);
  });

  test("returns what it has found if it is interrupted", async () => {
    const stop = new AbortController();
    stop.abort();
    const scanner = scripted([{ engines: ["a"] }, { engines: ["b"] }]);
    expect([idsOf(await scanWhole(scanner, stop.signal)), scanner.scans()]).toEqual([["a"], 1]);
  });
});

describe("completenessOf()", () => {
  const denied: Collector = {
    name: "processes",
    status: "partial",
    detail: "the agent has no permission to read 9 processes",
  };
  const unsupported: Collector = { name: "gpu", status: "unsupported", detail: "no GPU" };

  test("a scan that read everything is complete", () => {
    const whole = { collectors: [{ name: "http", status: "ok" } as const, unsupported], waiting: [] };
    expect(completenessOf(whole)).toEqual({ status: "complete", missing: [] });
  });

  test("a scan that reached its time limit is partial", () => {
    const late = { collectors: [], waiting: ["12 changed processes wait for the next scan"] };
    expect(completenessOf(late)).toEqual({ status: "partial", missing: late.waiting });
  });

  test("a scan without the permission to read everything is partial", () => {
    const missing = ["processes: the agent has no permission to read 9 processes"];
    expect(completenessOf({ collectors: [denied], waiting: [] })).toEqual({ status: "partial", missing });
  });
});
