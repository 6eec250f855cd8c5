import { timestamp } from "../../shared/time/clock.ts";
import { isOtherMachine } from "../../shared/wire/hardware.ts";
import type { Settings } from "../daemon/settings.ts";
import { lockHolder, processBirth } from "../daemon/single-instance-lock.ts";
import { type DaemonStatus, readStatus } from "../daemon/status-file.ts";
import { type Identity, loadIdentity, readPublicKey } from "../identity/device-identity.ts";
import { countWaiting } from "../report/spool.ts";
import { COPIED_REMEDY, whyCopied } from "./copied-identity.ts";
import type { Verb } from "./machine.ts";

/**
 * Prints the identity of this host and the state of the daemon. The exit code is 3 if no daemon runs. Sends
 * no request.
 */
export const status: Verb = async (machine, { flags, settings }) => {
  const { state: directory, config } = settings;
  const identity = loadIdentity(directory);
  const holder = identity && lockHolder(directory, { birthOf: (pid) => processBirth(pid, machine.platform) });
  const daemon = identity && readStatus(directory);
  const code = holder ? 0 : 3;
  const waiting = countWaiting(directory);
  const deviceKey = identity && readPublicKey(directory);
  const hardware = identity?.hardware && (await machine.hardware(identity.tenantId));
  const isCopied = isOtherMachine(identity?.hardware, hardware);
  if (flags.has("json")) {
    const { assetId, tenantId, edgeUrl, employeeId, settings: tenant } = identity ?? {};
    machine.print(
      JSON.stringify({
        state: directory,
        config: config.isUsed ? config.path : null,
        enrolled: identity !== undefined,
        ...(identity ? { assetId, tenantId, edgeUrl, employeeId, settings: tenant } : {}),
        ...(deviceKey === undefined ? {} : { deviceKey }),
        ...(isCopied ? { copied: true } : {}),
        running: holder !== undefined,
        ...(holder ? { pid: holder.pid } : {}),
        waiting,
        ...(daemon ? { daemon } : {}),
      }),
    );
    return code;
  }
  if (identity) {
    machine.print(
      `asset        ${identity.assetId} of ${identity.tenantId}, employee ${identity.employeeId}`,
    );
    if (isCopied) machine.print(`copied       ${whyCopied(identity, directory)}. ${COPIED_REMEDY}`);
    machine.print(`control      ${identity.edgeUrl}`);
    if (deviceKey !== undefined) machine.print(`device key   ${deviceKey}`);
    machine.print(`settings     ${settingsText(identity, daemon)}`);
    machine.print(`daemon       ${holder ? `running as process ${holder.pid}` : "not running"}`);
    if (daemon) for (const line of describe(daemon)) machine.print(line);
    machine.print(`waiting      ${waiting} heartbeat(s) not yet sent`);
    machine.print(`state        ${directory}`);
  } else machine.print(`not enrolled (no identity in ${directory})`);
  machine.print(`config       ${configText(settings, daemon)}`);
  return code;
};

function settingsText(
  { settings, settingsVersion }: Identity,
  daemon: Pick<DaemonStatus, "settingsRefused"> | undefined,
): string {
  const { heartbeatIntervalMs, clientDirectories } = settings;
  const refused = daemon?.settingsRefused;
  return [
    `heartbeat every ${heartbeatIntervalMs / 1000} s, working directories ${clientDirectories ? "reported" : "not reported"}`,
    settingsVersion === undefined ? "defaults" : `signed ${timestamp(settingsVersion)}`,
    ...(refused === undefined ? [] : [`newer settings were rejected: ${refused}`]),
  ].join("; ");
}

function configText({ config }: Settings, daemon: DaemonStatus | undefined): string {
  const here = config.isUsed ? config.path : `none (${config.path} does not exist)`;
  const there = daemon?.config === undefined || daemon.config === config.path ? undefined : daemon.config;
  return there === undefined ? here : `${here}; the daemon uses ${there}`;
}

function describe(daemon: DaemonStatus): string[] {
  const { connection, reason, lastTakenAt, engines, dropped, containment, writtenAt } = daemon;
  return [
    `connection   ${connection}${reason ? `: ${reason}` : ""}${lastTakenAt ? `, last heartbeat accepted ${lastTakenAt}` : ""}`,
    `engines      ${engines}`,
    `containment  ${containment.action === "none" ? "none" : `${containment.action} (${containment.mode}) ${containment.outcome}, generation ${containment.generation}`}`,
    `lost         ${dropped} heartbeat(s) since enrolment`,
    `as of        ${writtenAt}`,
  ];
}
