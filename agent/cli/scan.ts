import type { Engine } from "../../shared/wire/heartbeat.ts";
import { scannerOf, type Verb } from "./machine.ts";

/** One scan of this host. It needs no enrolment and sends nothing. */
export const scan: Verb = async (machine, values) => {
  const found = await scannerOf(machine).scan(machine.stopping);
  if (values.json === true) {
    machine.print(JSON.stringify(found));
    return 0;
  }
  machine.print(
    found.engines.length === 0 ? "no AI engine found" : `${found.engines.length} AI engine(s) found`,
  );
  for (const engine of found.engines) for (const line of describe(engine)) machine.print(line);
  const blind = found.collectors.filter(({ status }) => status !== "ok");
  for (const { name, status, detail } of blind)
    machine.print(`note: ${name} is ${status}${detail ? `: ${detail}` : ""}`);
  machine.print(`took ${Math.round(found.durationMs)} ms`);
  return 0;
};

function describe(engine: Engine): string[] {
  const { name, id, confidence, pid, ports, bind, models, evidence } = engine;
  const where = ports.length > 0 ? `, port ${ports.join(", ")} on ${bind.join(", ")}` : "";
  const named = models.map((model) => `${model.name}${model.loaded ? " (loaded)" : ""}`);
  return [
    `${name} (${id}), confidence ${confidence}, process ${pid}${where}`,
    ...(named.length > 0 ? [`  models: ${named.join(", ")}`] : []),
    ...evidence.map(({ signal, detail, weight }) => `  ${signal} +${weight}: ${detail}`),
  ];
}
