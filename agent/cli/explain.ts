import { timestamp } from "../../shared/time/clock.ts";
import { AGENT_SETTINGS_DEFAULT } from "../../shared/wire/agent-settings.ts";
import type { DirectivePoll } from "../../shared/wire/directive-poll.ts";
import { readStatus } from "../daemon/status-file.ts";
import { loadIdentity } from "../identity/device-identity.ts";
import { sessionBody } from "../identity/session.ts";
import { createComposer, keepValid, uncontained } from "../report/compose-heartbeat.ts";
import { explain as explainFields, explanationText } from "../report/explain.ts";
import { catalogueOf } from "./catalogue.ts";
import { factsOf } from "./facts.ts";
import type { Verb } from "./machine.ts";
import { scannerOf } from "./scanner.ts";
import { scanWhole, WHOLE } from "./whole-scan.ts";

/** Composes the heartbeat that the agent would send now, and prints each field with its value. Sends nothing. */
export const explain: Verb = async (machine, { flags, settings }) => {
  const directory = settings.state;
  const identity = loadIdentity(directory);
  const tenant = identity?.settings ?? AGENT_SETTINGS_DEFAULT;
  const { version, host } = factsOf(machine);
  const { catalogue } = await catalogueOf(machine, directory);
  const found = await scanWhole(scannerOf(machine, catalogue.entries, WHOLE), machine.stopping, tenant);
  const daemon = readStatus(directory);
  const intervalMs = settings.intervalMs ?? tenant.heartbeatIntervalMs;
  const hardware = identity && (await machine.hardware(identity.tenantId));
  const state = keepValid({
    agent: { version, catalogue: catalogue.version, intervalMs, run: machine.runId },
    host,
    engines: found.engines,
    ...(found.stores && { stores: found.stores }),
    collectors: found.collectors,
    containment: daemon?.containment ?? uncontained(timestamp(machine.clock())),
  });
  const nowMs = machine.clock();
  const composer = createComposer({
    clock: { now: () => nowMs, mark: () => () => nowMs },
    nextSequence: () => 0,
  });
  const poll: DirectivePoll = { v: 1, generation: state.containment.generation };
  const fields = explainFields({
    heartbeat: composer.compose(state, { waiting: 0, dropped: daemon?.dropped ?? 0 }),
    enrolment: {
      ...(identity ? { employeeId: identity.employeeId } : {}),
      host: { ...host, agentVersion: version },
      ...(hardware && { hardware }),
    },
    session: sessionBody(hardware),
    directive: poll,
  });
  machine.print(flags.has("json") ? JSON.stringify(fields) : explanationText(fields));
  return 0;
};
