import { expect, test } from "bun:test";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import type { SystemReaders } from "../../../../agent/scan/platform/system-readers.ts";
import { inProcessReader } from "../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../agent/scan/reader-process/perform-reads.ts";
import { createScanner } from "../../../../agent/scan/scan.ts";
import { directoriesIn } from "../../../../agent/scan/stores/models-on-disk.ts";
import { realFiles } from "../../../../agent/scan/system/files.ts";
import type { Host, ProcessFacts } from "../../../../agent/scan/system/host.ts";

const SESSION = "--session-name=session_2026-11-22_02-30-43_591509_16514";
const CORE = "/venv/lib/python3.12/site-packages/ray/core/src/ray";

const processOf = (pid: number, executable: string): ProcessFacts => ({
  pid,
  parentPid: 1,
  key: `${pid}:1:x`,
  name: "x",
  executable,
  argv: [executable, SESSION],
  uid: 1000,
  startedAtMs: Date.UTC(2026, 10, 30) + pid,
});

test("an engine with several processes that started independently has one target for each", async () => {
  const processes = [processOf(300, `${CORE}/gcs/gcs_server`), processOf(301, `${CORE}/raylet/raylet`)];
  const host: Host = {
    observe: async () => ({
      processes: new Map(processes.map((one) => [one.pid, one])),
      listeners: [],
      weights: new Map(),
      libraries: new Map(),
      gpu: new Map(),
      collectors: [],
    }),
    peers: () => ({ peers: new Map(), collector: { name: "clients", status: "ok" } }),
    workingDirectory: () => undefined,
    executableFile: () => undefined,
  };
  const readers: SystemReaders = {
    host,
    files: realFiles(),
    reader: inProcessReader(createReads(realFiles())),
    directories: directoriesIn(realFiles()),
    probe: async () => ({ failed: "refused" }),
    catalogue,
    selfPid: 1,
    homes: () => [],
    elapsed: () => 0,
    cpuMs: () => 0,
  };
  const { engines, targets } = await createScanner(readers).scan();
  expect(engines.map(({ id, pid }) => [id, pid])).toEqual([["ray-serve", 300]]);
  expect(
    targets.certain.map(({ pid, processStartedAt, executable }) => [pid, processStartedAt, executable]),
  ).toEqual([
    [300, "2026-11-30T00:00:00.300Z", `${CORE}/gcs/gcs_server`],
    [301, "2026-11-30T00:00:00.301Z", `${CORE}/raylet/raylet`],
  ]);
});
