import { employeeId } from "../../shared/ids.ts";
import { parseEdgeUrl } from "../config.ts";
import { containedIn, whyContained } from "../contain/contained.ts";
import { forgetContainment } from "../contain/containment-file.ts";
import { createControlClock } from "../control-clock.ts";
import { prepareDirectory, readIfThere } from "../disk.ts";
import { enrol } from "../enrol.ts";
import { fingerprintOf, loadIdentity, openDeviceKey, saveIdentity } from "../identity.ts";
import { type Network, openNetwork } from "../network.ts";
import { createPost } from "../post.ts";
import type { Settings } from "../settings.ts";
import { sleep } from "../sleep.ts";
import { factsOf } from "./facts.ts";
import { logOf } from "./logging.ts";
import { type Asked, fail, type Machine, option, type Verb } from "./machine.ts";

/** A JWT with room to spare. */
const TOKEN_CHARACTERS_MAX = 16_384;

/** Enrols this host. Asked twice for the same control plane, it says so and changes nothing. */
export const enroll: Verb = async (machine, asked) => {
  const { values, settings } = asked;
  if (settings.url === undefined) return fail(machine, "enroll: --url is needed", 2);
  const url = parseEdgeUrl(settings.url, settings.allowHttp);
  if (!url.ok) return fail(machine, url.reason, 2);
  const opened = openNetwork(machine, settings.network, url.origin);
  if (!opened.ok) return fail(machine, `enroll: ${opened.reason}`, opened.isSetting ? 2 : 1);
  const token = await tokenOf(machine, asked);
  if (!token) return fail(machine, "enroll: --token is needed", 2);
  const employee = employeeId.safeParse(settings.employee ?? asEmployee(machine.user));
  if (!employee.success)
    return fail(machine, "--employee must be letters, digits and . _ @ + - (128 at most)", 2);

  const directory = settings.state;
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
  // A new asset knows nothing of an isolation of the old one: nobody could release it any more.
  const contained = before && containedIn(directory);
  if (contained) return fail(machine, `enroll: ${whyContained(contained)}: release it first`);

  const log = logOf(machine, settings);
  const { clock, elapsed } = machine;
  const control = createControlClock({ clock, elapsed, log });
  const post = createPost({
    edgeUrl: url.origin,
    fetch: opened.network.fetch,
    clock: control,
    wallClock: clock,
  });
  const { host, version } = factsOf(machine);
  const request = { token, employeeId: employee.data, host: { ...host, agentVersion: version } };
  const enrolled = await enrol(
    { post, random: machine.random, sleep, log },
    device,
    request,
    machine.stopping,
  );
  if (!enrolled.ok) {
    const advice = enrolled.isAway ? ` (lz-agent doctor --url ${url.origin} names the cause)` : "";
    return fail(machine, `not enrolled: ${enrolled.reason}${advice}`);
  }
  if (before && before.assetId !== enrolled.answer.assetId) forgetContainment(directory);
  saveIdentity(directory, { v: 1, edgeUrl: url.origin, employeeId: employee.data, ...enrolled.answer });
  const { assetId, tenantId, jwks } = enrolled.answer;
  machine.print(`enrolled as ${assetId} of ${tenantId} at ${url.origin}`);
  machine.print(
    `device key ${await fingerprintOf(device.x)}, directives trusted from ${jwks.keys.length} key(s)`,
  );
  if (isOfThisCall(settings, opened.network))
    machine.print(
      `the daemon needs the proxy and the CA file of this call too: put them into ${settings.config.path}, or give them to lz-agent service install`,
    );
  return 0;
};

/** Whether a proxy or a CA file was found where a daemon that the system starts does not look. */
const isOfThisCall = ({ network, ofThisCall }: Settings, { proxy }: Network): boolean =>
  ofThisCall.includes("proxy") ||
  ofThisCall.includes("ca-file") ||
  (proxy !== undefined && network.proxy === undefined);

/** From where it is given; a file or standard input, unlike a flag, is seen by no list of processes. */
async function tokenOf(machine: Machine, { values }: Asked): Promise<string | undefined> {
  const file = option(values, "token-file");
  if (file === undefined) return option(values, "token") ?? machine.env.LZ_ENROLL_TOKEN;
  const text = file === "-" ? await machine.input(TOKEN_CHARACTERS_MAX) : readIfThere(file);
  return text?.trim();
}

/** A login may hold what an employee id may not (`DOMAIN\user` on Windows). */
const asEmployee = (user: string): string =>
  user
    .replace(/^.*\\/, "")
    .replace(/[^A-Za-z0-9._@+-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 128);
