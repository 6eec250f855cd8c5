import { employeeId } from "../../shared/ids.ts";
import { parseEdgeUrl, stateDirectory } from "../config.ts";
import { prepareDirectory } from "../disk.ts";
import { enrol } from "../enrol.ts";
import { fingerprintOf, loadIdentity, openDeviceKey, saveIdentity } from "../identity.ts";
import { createPost } from "../post.ts";
import { sleep } from "../sleep.ts";
import { factsOf, fail, logOf, option, type Verb, WRONG_LOG } from "./machine.ts";

/** Enrols this host. Asked twice for the same control plane, it says so and changes nothing. */
export const enroll: Verb = async (machine, values) => {
  const log = logOf(machine, values);
  if (!log) return fail(machine, WRONG_LOG, 2);
  const url = parseEdgeUrl(option(values, "url") ?? "", values["allow-http"] === true);
  if (!url.ok) return fail(machine, url.reason, 2);
  const token = option(values, "token") ?? machine.env.LZ_ENROLL_TOKEN;
  if (!token) return fail(machine, "enroll: --token is needed", 2);
  const employee = employeeId.safeParse(option(values, "employee") ?? asEmployee(machine.user));
  if (!employee.success)
    return fail(machine, "--employee must be letters, digits and . _ @ + - (128 at most)", 2);

  const directory = stateDirectory(machine, option(values, "state"));
  prepareDirectory(directory, machine.platform);
  const device = await openDeviceKey(directory, machine.platform);
  const before = loadIdentity(directory);
  if (before && before.edgeUrl === url.origin && values.force !== true) {
    machine.print(`already enrolled as ${before.assetId} of ${before.tenantId} at ${before.edgeUrl}`);
    return 0;
  }
  if (before && values.force !== true) {
    return fail(
      machine,
      `already enrolled at ${before.edgeUrl} as ${before.assetId} (--force to enrol anew)`,
    );
  }

  const post = createPost({ edgeUrl: url.origin, fetch: machine.fetch, clock: machine.clock, log });
  const { host, version } = factsOf(machine);
  const request = { token, employeeId: employee.data, host: { ...host, agentVersion: version } };
  const enrolled = await enrol(
    { post, random: machine.random, sleep, log },
    device,
    request,
    machine.stopping,
  );
  if (!enrolled.ok) return fail(machine, `not enrolled: ${enrolled.reason}`);
  saveIdentity(directory, { v: 1, edgeUrl: url.origin, employeeId: employee.data, ...enrolled.answer });
  const { assetId, tenantId, jwks } = enrolled.answer;
  machine.print(`enrolled as ${assetId} of ${tenantId} at ${url.origin}`);
  machine.print(
    `device key ${await fingerprintOf(device.x)}, directives trusted from ${jwks.keys.length} key(s)`,
  );
  return 0;
};

/** A login may hold what an employee id may not (`DOMAIN\user` on Windows). */
const asEmployee = (user: string): string =>
  user
    .replace(/^.*\\/, "")
    .replace(/[^A-Za-z0-9._@+-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 128);
