import type { Engine, HeldModel } from "../../shared/wire/heartbeat.ts";
import { catalogueOf } from "./catalogue.ts";
import { type ExitCode, fail, type Verb } from "./machine.ts";
import { scannerOf } from "./scanner.ts";
import { scanWhole, WHOLE } from "./whole-scan.ts";

/** One scan of this host, with the catalogue of the daemon if there is one. It needs no enrolment and sends nothing. */
export const scan: Verb = async (machine, { values, settings }) => {
  const { catalogue, collector } = await catalogueOf(machine, settings.state);
  const scanner = scannerOf(machine, catalogue.entries, WHOLE);
  const { engines, stores, collectors, durationMs } = await scanWhole(scanner, machine.stopping);
  const found = { engines, ...(stores && { stores }), collectors: [...collectors, collector], durationMs };
  const end = (): ExitCode =>
    machine.stopping.aborted ? fail(machine, "interrupted: not everything was looked at") : 0;
  if (values.json === true) {
    machine.print(JSON.stringify(found));
    return end();
  }
  machine.print(engines.length === 0 ? "no AI engine found" : `${engines.length} AI engine(s) found`);
  for (const engine of engines) for (const line of describe(engine)) machine.print(line);
  for (const { name, id, models } of stores ?? [])
    machine.print(`${name} (${id}), on disk: ${namesOf(models)}`);
  for (const { name, status, detail } of found.collectors.filter(({ status }) => status !== "ok"))
    machine.print(`note: ${name} is ${status}${detail ? `: ${detail}` : ""}`);
  machine.print(`took ${Math.round(durationMs)} ms, catalogue ${collector.detail}`);
  return end();
};

function describe(engine: Engine): string[] {
  const { name, id, confidence, pid, ports, bind, models, evidence } = engine;
  const where = ports.length > 0 ? `, port ${ports.join(", ")} on ${bind.join(", ")}` : "";
  return [
    `${name} (${id}), confidence ${confidence}, process ${pid ?? "not readable"}${where}`,
    ...(models.length > 0 ? [`  models: ${namesOf(models)}`] : []),
    ...evidence.map(({ signal, detail, weight }) => `  ${signal} +${weight}: ${detail}`),
  ];
}

const namesOf = (models: readonly HeldModel[]): string =>
  models.map(({ name, loaded }) => `${name}${loaded ? " (loaded)" : ""}`).join(", ");
