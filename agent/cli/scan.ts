import type { Engine, HeldModel } from "../../shared/wire/heartbeat.ts";
import { catalogueOf } from "./catalogue.ts";
import { type ExitCode, fail, type Verb } from "./machine.ts";
import { scannerOf } from "./scanner.ts";
import { COMPLETE_MS_MAX, scanWhole, WHOLE, type WholeScan } from "./whole-scan.ts";

/** Exit code of a scan that had no time for everything. */
const INCOMPLETE = 4;

/** One scan of this host, with the catalogue of the daemon if there is one. It needs no enrolment and sends nothing. */
export const scan: Verb = async (machine, { flags, settings }) => {
  const { catalogue, collector } = await catalogueOf(machine, settings.state);
  const scanner = scannerOf(machine, catalogue.entries, WHOLE);
  const isStrict = flags.has("complete");
  const limitMs = isStrict ? COMPLETE_MS_MAX : undefined;
  const { engines, stores, collectors, durationMs, waiting, unanswered } = await scanWhole(
    scanner,
    machine.stopping,
    undefined,
    limitMs,
  );
  const { status, missing, lacking } = completenessOf({ collectors, waiting, unanswered }, isStrict);
  const found = {
    status,
    missing,
    engines,
    ...(stores && { stores }),
    collectors: [...collectors, collector],
    durationMs,
  };
  const end = (): ExitCode => {
    if (machine.stopping.aborted) return fail(machine, "interrupted: not everything was looked at");
    if (lacking.length === 0) return 0;
    return fail(machine, `partial: ${lacking.join("; ")}`, INCOMPLETE);
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
  if (status === "partial") machine.print(["partial, see the notes", ...waiting].join("; "));
  machine.print(`took ${Math.round(durationMs)} ms, catalogue ${collector.detail}`);
  return end();
};

/**
 * What a scan did not see. `missing` is all of it; `lacking` is what makes it end with another code than 0: what there
 * was no time for or did not answer, and with `--complete` also what could not be read.
 */
export function completenessOf(
  { collectors, waiting, unanswered }: Pick<WholeScan, "collectors" | "waiting" | "unanswered">,
  isStrict: boolean,
) {
  const unread = collectors
    .filter(({ status }) => status === "partial" || status === "failed")
    .map(({ name, status, detail }) => `${name}: ${detail ?? status}`);
  // Those of `unanswered` are among the details of the collectors.
  const missing = [...waiting, ...unread];
  return {
    status: missing.length > 0 ? ("partial" as const) : ("complete" as const),
    missing,
    lacking: isStrict ? missing : [...waiting, ...unanswered],
  };
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
