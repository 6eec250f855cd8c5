import { sleep } from "../../shared/time/sleep.ts";
import type { DeviceKey, Identity } from "../identity/device-identity.ts";
import { type Enrolled, enrol } from "../identity/enrol.ts";
import { withFirstSettings } from "../identity/tenant-settings.ts";
import { tenantOfToken } from "../identity/token-tenant.ts";
import { createControlClock } from "../network/control-clock.ts";
import { createPost } from "../network/control-plane-client.ts";
import { createCompatiblePost, olderEdgeLog } from "../network/older-edge.ts";
import type { Network } from "../network/outbound-network.ts";
import type { Log } from "../platform/log.ts";
import { readIfThere } from "../platform/state-files.ts";
import { factsOf } from "./facts.ts";
import type { Asked, Machine } from "./machine.ts";

/** Maximum number of characters of an enrolment token, which is a JWT of a few hundred characters. */
const TOKEN_CHARACTERS_MAX = 16_384;

/**
 * Reads the enrolment token from `--token-file` (`-` is standard input), `--token` or `LZ_ENROLL_TOKEN`. Only
 * `--token` shows the token in the process list.
 */
export async function tokenOf(
  machine: Pick<Machine, "env" | "input">,
  texts: Asked["texts"],
): Promise<string | undefined> {
  const file = texts["token-file"];
  if (file === undefined) return texts.token ?? machine.env.LZ_ENROLL_TOKEN;
  const text = file === "-" ? await machine.input(TOKEN_CHARACTERS_MAX) : readIfThere(file);
  return text?.trim();
}

export type EnrolHost = {
  machine: Machine;
  network: Network;
  log: Log;
  edgeUrl: string;
  token: string;
  employeeId: string;
  device: DeviceKey;
};

export type HostEnrolled = { ok: true; identity: Identity } | Extract<Enrolled, { ok: false }>;

/** Enrols this host with the fingerprint of its hardware. The caller saves the identity. */
export async function enrolHost(wanted: EnrolHost): Promise<HostEnrolled> {
  const { machine, network, log, edgeUrl, token, employeeId, device } = wanted;
  const { clock, elapsed, random } = machine;
  const control = createControlClock({ clock, elapsed, log });
  const post = createCompatiblePost(
    createPost({ edgeUrl, fetch: network.fetch, clock: control, wallClock: clock }),
    olderEdgeLog(log),
  );
  const { host, version } = factsOf(machine);
  const tenant = tenantOfToken(token);
  const hardware = tenant === undefined ? undefined : await machine.hardware(tenant);
  const request = {
    token,
    employeeId,
    host: { ...host, agentVersion: version },
    ...(hardware && { hardware }),
  };
  const enrolled = await enrol({ post, random, sleep, log }, device, request, machine.stopping);
  if (!enrolled.ok) return enrolled;
  const { signedSettings, ...answer } = enrolled.answer;
  const fresh: Identity = { v: 1, edgeUrl, employeeId, ...answer, ...(hardware && { hardware }) };
  return { ok: true, identity: await withFirstSettings(fresh, signedSettings) };
}
