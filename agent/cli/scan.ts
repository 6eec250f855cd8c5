import type { Engine, HeldModel } from "../../shared/wire/heartbeat.ts";
import { catalogueOf } from "./catalogue.ts";
import { type ExitCode, fail, type Verb } from "./machine.ts";
import { scannerOf } from "./scanner.ts";
import { COMPLETE_MS_MAX, scanWhole, WHOLE, type WholeScan } from "./whole-scan.ts";

/** Exit code of an incomplete scan. */
const PARTIAL = 4;

/** Scans this host once, with the daemon's catalogue if there is one. Needs no enrolment and sends nothing. */
export const scan: Verb = async (machine, { flags, settings }) => {
  const { catalogue, collector } = await catalogueOf(machine, settings.state);
  const scanner = scannerOf(machine, catalogue.entries, WHOLE);
  const limitMs = flags.has("complete") ? COMPLETE_MS_MAX : undefined;
  const whole = await scanWhole(scanner, machine.stopping, undefined, limitMs);
  const { engines, stores, collectors, durationMs, waiting } = whole;
  const { status, missing } = completenessOf(whole);
  const found = {
    status,
    missing,
    engines,
    ...(stores && { stores }),
    collectors: [...collectors, collector],
    durationMs,
  };
  const end = (): ExitCode => {
    if (machine.stopping.aborted) return fail(machine, "interrupted: the scan is not complete");
    if (status === "complete" || flags.has("allow-partial")) return 0;
    return fail(machine, `partial: ${missing.join("; ")}`, PARTIAL);
  };
  if (flags.has("json")) {
    machine.print(JSON.stringify(found));
    return end();
  }
  machine.print(engines.length === 0 ? "no AI engine found" : `${engines.length} AI engine(s) found`);
  for (const engine of engines) for (const line of describe(engine)) machine.print(line);
  for (const { name, id, models } of stores ?? [])
    machine.print(`${name} (${id}), on disk: ${namesOf(models)}`);
  for (const { name, status, detail } of found.collectors.filter(({ status }) => status !== "ok"))
    machine.print(`note: ${name} is ${status}${detail ? `: ${detail}` : ""}`);
  if (status === "partial")
    machine.print(["the scan is partial, see the notes above", ...waiting].join("; "));
  machine.print(`took ${Math.round(durationMs)} ms, catalogue ${collector.detail}`);
  return end();
};

/**
 * Whether a scan is complete. `missing` lists what the scan could not read because of missing time, missing
 * permission or missing responses.
 */
export function completenessOf({ collectors, waiting }: Pick<WholeScan, "collectors" | "waiting">): {
  status: "complete" | "partial";
  missing: string[];
} {
  const unread = collectors
    .filter(({ status }) => status === "partial" || status === "failed")
    .map(({ name, status, detail }) => `${name}: ${detail ?? status}`);
  const missing = [...waiting, ...unread];
  return { status: missing.length > 0 ? "partial" : "complete", missing };
}

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
