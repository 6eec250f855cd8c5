import { expect, test } from "bun:test";
import type { AiProgram, Program } from "../../../bench/detection/program.ts";
import { mixed, programsOf } from "../../../bench/detection/program-sets.ts";
import { compareWithProgram, figuresOf } from "../../../bench/detection/verdict.ts";
import type { Engine } from "../../../shared/wire/heartbeat.ts";

const source = { registry: "none" } as const;
const start = () => ({ command: ["true"] });
const ai: AiProgram = { name: "chroma", wanted: ["chroma"], source, start };
const server: Program = { name: "nginx", source, start };
const ports = { own: 4000, tls: undefined, host: "127.0.0.1" };

const engine = (id: string, more: Partial<Engine> = {}): Engine => ({
  id,
  name: id,
  kind: "vector-db",
  confidence: 90,
  ports: [4000],
  bind: ["127.0.0.1"],
  models: [],
  auth: "open",
  evidence: [{ signal: "http", detail: "GET / names it", weight: 60 }],
  clients: [],
  parents: [],
  ...more,
});

const outcomeOf = (program: Program, engines: Engine[]) =>
  compareWithProgram({ program, ports }, engines).outcome;

test("compareWithProgram() separates a right name, a wrong name, an additional wrong name and no name", () => {
  expect(outcomeOf(ai, [engine("chroma")])).toBe("right");
  expect(outcomeOf(ai, [engine("qdrant")])).toBe("wrong");
  expect(outcomeOf(ai, [engine("chroma"), engine("openai-compatible")])).toBe("wrong");
  expect(outcomeOf(ai, [])).toBe("missing");
  const also = { ...ai, also: ["mcp-http"] };
  expect(outcomeOf(also, [engine("chroma"), engine("mcp-http")])).toBe("right");
  expect(outcomeOf(also, [engine("mcp-http")])).toBe("missing");
  expect(outcomeOf(server, [])).toBe("right");
  expect(outcomeOf(server, [engine("openai-compatible")])).toBe("wrong");
});

const faultsOf = (program: AiProgram, engines: Engine[], tls?: number) =>
  compareWithProgram({ program, ports: { ...ports, tls } }, engines).faults;

test("compareWithProgram() lists wrong properties in addition to the name", () => {
  expect(faultsOf(ai, [engine("chroma")])).toEqual([]);
  expect(faultsOf(ai, [engine("chroma"), engine("chroma", { pid: 7 })])).toEqual(["reported 2 times"]);
  expect(faultsOf(ai, [engine("chroma", { ports: [1] })])).toEqual(["port 4000 is missing"]);
  expect(faultsOf(ai, [engine("chroma", { renamed: true })])).toEqual(["reported as renamed, but is not"]);
  expect(faultsOf({ ...ai, as: "backupd" }, [engine("chroma")])).toEqual(["not reported as renamed, but is"]);
  expect(faultsOf({ ...ai, key: true }, [engine("chroma")])).toEqual([
    "authentication is reported as open, but a key is required",
  ]);
  expect(faultsOf(ai, [engine("chroma", { auth: "required" })])).toEqual([
    "authentication is required, and no key was set",
  ]);
});

test("compareWithProgram() expects no port for a program without one", () => {
  const portless = { program: ai, ports: { ...ports, own: undefined } };
  expect(compareWithProgram(portless, [engine("chroma", { ports: [1] })]).faults).toEqual([]);
});

test("compareWithProgram() accepts a TLS proxy in front of a program as a separate server", () => {
  const proxy = engine("chroma", { pid: 7, ports: [5000] });
  expect(faultsOf({ ...ai, tls: true }, [engine("chroma"), proxy], 5000)).toEqual([]);
  expect(faultsOf({ ...ai, tls: true }, [engine("chroma"), proxy], 6000)).toEqual(["reported 2 times"]);
});

test("figuresOf() counts programs for recall and reported engines for precision", () => {
  const verdicts = [
    compareWithProgram({ program: ai, ports }, [engine("chroma")]),
    compareWithProgram({ program: ai, ports }, [engine("chroma"), engine("qdrant")]),
    compareWithProgram({ program: ai, ports }, []),
    compareWithProgram({ program: ai, ports }, [engine("chroma")]),
  ];
  expect(figuresOf(5, verdicts, 1)).toMatchObject({
    programs: 5,
    started: 4,
    right: 2,
    wrong: 1,
    missing: 1,
    recallPercent: 50,
    precisionPercent: 60,
  });
});

test("programsOf() returns the quick set, and only the selected programs", () => {
  const { ai: some, ordinary } = programsOf("quick");
  expect(some.length).toBeGreaterThanOrEqual(8);
  expect(ordinary.length).toBeGreaterThanOrEqual(5);
  expect(programsOf("ordinary", ["nginx"])).toMatchObject({ ai: [], ordinary: [{ name: "nginx" }] });
});

test("mixed() distributes the ordinary servers between the programs", () => {
  const some = [1, 2, 3, 4].map((at) => ({ ...ai, name: `ai-${at}` }));
  const others = [1, 2].map((at) => ({ ...server, name: `server-${at}` }));
  expect(mixed(some, others).map(({ name }) => name)).toEqual([
    ...["ai-1", "server-1", "ai-2", "ai-3", "server-2", "ai-4"],
  ]);
});
