import { stateDirectory } from "../config.ts";
import { loadIdentity } from "../identity.ts";
import { lockHolder, processBirth } from "../lock.ts";
import { countWaiting } from "../spool.ts";
import { type DaemonStatus, readStatus } from "../status.ts";
import { option, type Verb } from "./machine.ts";

/** Says what this host is to its control plane. Reads the state directory only; asks nobody. */
export const status: Verb = async (machine, values) => {
  const directory = stateDirectory(machine, option(values, "state"));
  const identity = loadIdentity(directory);
  const holder = identity && lockHolder(directory, { birthOf: (pid) => processBirth(pid, machine.platform) });
  const daemon = identity && readStatus(directory);
  const waiting = countWaiting(directory);
  if (values.json === true) {
    const { assetId, tenantId, edgeUrl, employeeId, settings } = identity ?? {};
    machine.print(
      JSON.stringify({
        state: directory,
        enrolled: identity !== undefined,
        ...(identity ? { assetId, tenantId, edgeUrl, employeeId, settings } : {}),
        running: holder !== undefined,
        ...(holder ? { pid: holder.pid } : {}),
        waiting,
        ...(daemon ? { daemon } : {}),
      }),
    );
    return 0;
  }
  if (!identity) {
    machine.print(`not enrolled (no identity in ${directory})`);
    return 0;
  }
  machine.print(`asset        ${identity.assetId} of ${identity.tenantId}, employee ${identity.employeeId}`);
  machine.print(`control      ${identity.edgeUrl}`);
  machine.print(`daemon       ${holder ? `runs as process ${holder.pid}` : "does not run"}`);
  if (daemon) for (const line of describe(daemon)) machine.print(line);
  machine.print(`waiting      ${waiting} heartbeat(s) in the spool`);
  machine.print(`state        ${directory}`);
  return 0;
};

function describe(daemon: DaemonStatus): string[] {
  const { connection, reason, lastTakenAt, engines, dropped, containment, writtenAt } = daemon;
  return [
    `connection   ${connection}${reason ? `: ${reason}` : ""}${lastTakenAt ? `, last heartbeat taken ${lastTakenAt}` : ""}`,
    `engines      ${engines}`,
    `containment  ${containment.action === "none" ? "none" : `${containment.action} (${containment.mode}) ${containment.outcome}, generation ${containment.generation}`}`,
    `lost         ${dropped} heartbeat(s) since enrolment`,
    `as of        ${writtenAt}`,
  ];
}
