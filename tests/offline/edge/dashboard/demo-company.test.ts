import { describe, expect, test } from "bun:test";
import {
  confidenceOf,
  REPORT_THRESHOLD,
  WEIGHTS,
  weighed,
} from "../../../../agent/scan/identify/confidence.ts";
import { windowsHost } from "../../../../agent/scan/platform/windows.ts";
import { type FileFacts, realFiles } from "../../../../agent/scan/system/files.ts";
import { company } from "../../../browser/company.ts";
import { engineOf, type Host, sourcesOf } from "../../../browser/seed.ts";

const NOW_MS = Date.parse("2026-11-21T23:04:05.678Z");
const { hosts } = company("org_a", NOW_MS);
const engines = hosts.flatMap(({ os, hostname, states }) =>
  states.flatMap((state) => state.engines.map((engine) => ({ os, hostname, engine }))),
);
const isWindows = (os: string) => os.startsWith("Windows");

/** The screenshots must show only data that an agent can really report. */
describe("the company in the screenshots", () => {
  test("has evidence with the agent's weights, and the confidence that they add up to", () => {
    for (const { hostname, engine } of [{ hostname: "any", engine: engineOf() }, ...engines]) {
      const { evidence, confidence, id } = engine;
      const known = evidence.every(
        ({ signal, weight }) =>
          weight === 0 ||
          Object.values(WEIGHTS).some((one) => one.signal === signal && one.weight === weight),
      );
      expect([hostname, id, known, confidence]).toEqual([hostname, id, true, confidenceOf(evidence)]);
      expect(evidence).toEqual(weighed(evidence));
      expect(confidence).toBeGreaterThanOrEqual(REPORT_THRESHOLD);
    }
  });

  test("has no weights evidence on Windows, which does not report mapped files", () => {
    const windows = engines.filter(({ os }) => isWindows(os));
    expect(windows.length).toBeGreaterThan(3);
    for (const { engine } of windows)
      expect(engine.evidence.filter(({ signal }) => signal === "weights")).toEqual([]);
  });

  test("names the sources that the agent has on the system of each host", async () => {
    const run = () => Promise.reject(new Error("no tool here"));
    const files = { ...realFiles(), facts: () => ({ isFile: false }) as FileFacts };
    const host = windowsHost({ files, run, selfPid: 1, elapsed: () => 0, isLibraryWanted: () => false });
    const { collectors } = await host.observe();
    const names = (some: readonly { name: string }[]) => some.map(({ name }) => name).sort();
    const asked = ["http", "clients", "at-rest"].map((name) => ({ name }));
    expect(names(sourcesOf("Windows 11 24H2"))).toEqual(names([...collectors, ...asked]));
    const unsupported = sourcesOf("Windows 11 24H2").find(({ name }) => name === "weights");
    expect(unsupported).toEqual(collectors.find(({ name }) => name === "weights")!);
    const ofState = ({ os, states }: Host) =>
      states.map(({ collectors: told }) => [names(told ?? sourcesOf(os)), names(sourcesOf(os))] as const);
    for (const [told, real] of hosts.flatMap(ofState)) expect(told).toEqual(real);
  });
});
