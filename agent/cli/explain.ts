import { timestamp } from "../../shared/clock.ts";
import { stateDirectory } from "../config.ts";
import { explain as explainFields, explanationText } from "../explain.ts";
import { createComposer, keepValid, uncontained } from "../heartbeat.ts";
import { type Identity, loadIdentity } from "../identity.ts";
import { readStatus } from "../status.ts";
import { factsOf, option, scannerOf, type Verb } from "./machine.ts";

const NOT_ENROLLED: Identity["settings"] = { heartbeatIntervalMs: 5000, clientDirectories: false };

/** Makes the heartbeat that would go out now and prints it field by field. Sends nothing. */
export const explain: Verb = async (machine, values) => {
  const directory = stateDirectory(machine, option(values, "state"));
  const identity = loadIdentity(directory);
  const settings = identity?.settings ?? NOT_ENROLLED;
  const { version, catalogue, host } = factsOf(machine);
  const found = await scannerOf(machine).scan(machine.stopping, settings);
  const daemon = readStatus(directory);
  const state = keepValid({
    agent: { version, catalogue, intervalMs: settings.heartbeatIntervalMs },
    host,
    engines: found.engines,
    collectors: found.collectors,
    containment: daemon?.containment ?? uncontained(timestamp(machine.clock())),
  });
  const composer = createComposer({ clock: machine.clock, nextSequence: () => 0 });
  const fields = explainFields({
    heartbeat: composer.compose(state, { waiting: 0, dropped: daemon?.dropped ?? 0 }),
    enrolment: {
      ...(identity ? { employeeId: identity.employeeId } : {}),
      host: { ...host, agentVersion: version },
    },
    session: { agentVersion: version },
  });
  machine.print(values.json === true ? JSON.stringify(fields) : explanationText(fields));
  return 0;
};
