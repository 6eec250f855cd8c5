import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMPILE_FLAGS } from "../../tools/build-agent.ts";
import { readArguments } from "../harness/arguments.ts";
import { root, runProgram, scratchFolder } from "../harness/backends.ts";
import { enterOwnNamespaces, isInOwnNamespaces } from "../harness/own-namespaces.ts";
import { finish } from "../harness/report.ts";
import { inScope, type Scope } from "../harness/scope.ts";
import { install, isInstalled } from "./install.ts";
import { type LabResult, runLab, tryAll } from "./lab.ts";
import { MODEL } from "./model.ts";
import type { Source } from "./program.ts";
import { mixed, programsOf, SETS, type SetName } from "./program-sets.ts";
import { ORDINARY } from "./programs/ordinary.ts";
import { tableOf } from "./report-table.ts";
import { figuresOf } from "./verdict.ts";

/*
 * The recall lab runs real programs from package registries together with ordinary servers, and checks what
 * the agent reports. First, the lab installs missing programs. Then everything runs in separate process and
 * network namespaces, so that no program reaches another host, and all programs end with the lab.
 */

const SECONDS_MAX = 3600;

const { json, numbers, texts } = readArguments(
  "detection",
  "Runs real AI programs and ordinary servers, and checks which products the agent reports.",
  {
    "at-once": { min: 1, max: 64, default: 8, says: "maximum number of programs that run at the same time" },
    interval: { min: 100, max: 60_000, default: 2000, says: "milliseconds between scans of the daemon" },
    appear: { min: 1, max: 600, default: 30, says: "seconds within which the daemon must report a program" },
  },
  {
    set: { of: SETS, says: "set of AI programs, run together with ordinary servers" },
    install: { of: ["missing", "nothing"], says: "what to install first" },
    until: {
      of: ["scan", "start", "install"],
      says: "last step: use start to try held-out programs without a scan",
    },
  },
  {
    only: { value: "A,B", says: "run only these programs" },
    record: { value: "DIR", says: "folder for one JSON file with the responses of each program" },
    report: { value: "FILE", says: "file for the result as JSON" },
  },
);

const only = texts.only ? texts.only.split(",") : undefined;
const { ai, ordinary } = programsOf(texts.set as SetName, only);
const unknown = only?.filter((name) => ![...ai, ...ordinary].some((one) => one.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`detection: set ${texts.set} has no ${unknown.join(", ")}`);
  process.exit(2);
}

/**
 * Installs the programs. The installation needs the network, so it runs before the lab enters its namespaces.
 * Programs that cannot be installed are printed and left out.
 */
async function installAll(): Promise<number> {
  const programs = [...ai, ...ordinary];
  const needed: { name: string; source: Source }[] = programs.some(({ model }) => model)
    ? [{ name: "model", source: MODEL }, ...programs]
    : programs;
  let failed = 0;
  for (const { name, source } of needed.filter(({ source }) => !isInstalled(source))) {
    console.log(`installing ${name}`);
    try {
      await install(source);
    } catch (error) {
      failed += 1;
      console.error(`${name} cannot be installed: ${error instanceof Error ? error.message : error}`);
    }
  }
  return failed;
}

async function bench(scope: Scope): Promise<LabResult> {
  const agent = join(scratchFolder(scope), "lz-agent");
  await runProgram(scope, "compiling the agent", [
    process.execPath,
    "build",
    ...COMPILE_FLAGS,
    join(root, "agent/main.ts"),
    "--outfile",
    agent,
  ]);
  return runLab(scope, mixed(ai, ordinary), {
    agent,
    atOnce: numbers["at-once"],
    intervalMs: numbers.interval,
    appearMsMax: numbers.appear * 1000,
    recordTo: texts.record!,
  });
}

if (!isInOwnNamespaces()) {
  const failed = texts.install === "nothing" ? 0 : await installAll();
  if (texts.until === "install") process.exit(failed === 0 ? 0 : 1);
}
if (!(await enterOwnNamespaces()))
  console.log("cannot create namespaces: the programs run directly on this host");
if (texts.until === "start") {
  const { up, failed } = await inScope(SECONDS_MAX, (scope) =>
    tryAll(scope, mixed(ai, ordinary), numbers["at-once"]),
  );
  for (const { program, reason } of failed) console.log(`not started: ${program.name}: ${reason}`);
  console.log(`started: ${up.join(", ")}`);
  finish(json, { started: up.length, notStarted: failed.length });
  process.exit(failed.length === 0 ? 0 : 1);
}
const { verdicts, failed, strays, scansMs } = await inScope(SECONDS_MAX, bench);
const isOrdinary = new Set(ORDINARY.map(({ name }) => name));
const ofAi = verdicts.filter(({ name }) => !isOrdinary.has(name));
const ofOrdinary = verdicts.filter(({ name }) => isOrdinary.has(name));
const reportedOrdinary = ofOrdinary.filter(({ named }) => named.length > 0);
const elsewhere = reportedOrdinary.flatMap(({ named }) => named).length + strays.length;
const figures = figuresOf(ai.length, ofAi, elsewhere);
const result = {
  set: texts.set!,
  ...figures,
  ordinary: ofOrdinary.length,
  ordinaryReported: reportedOrdinary.length,
  verdicts,
  notStarted: failed.map(({ program, reason }) => ({ name: program.name, reason })),
  strays,
  scansMs,
};
for (const line of tableOf(result)) console.log(line);
if (texts.report) writeFileSync(texts.report, `${JSON.stringify(result, null, 1)}\n`);
finish(json, result);
process.exit(0);
