import { employeeId } from "../../shared/ids.ts";
import { isOtherMachine } from "../../shared/wire/hardware.ts";
import { forgetContainment } from "../contain/state/containment-file.ts";
import { containedIn, whyContained } from "../contain/state/containment-state.ts";
import type { Settings } from "../daemon/settings.ts";
import {
  fingerprintOf,
  loadIdentity,
  openDeviceKey,
  readPublicKey,
  saveIdentity,
} from "../identity/device-identity.ts";
import { type Network, openNetwork } from "../network/outbound-network.ts";
import { parseEdgeUrl } from "../platform/agent-version.ts";
import { prepareDirectory } from "../platform/state-files.ts";
import { enrolCopy, whyCopied } from "./copied-identity.ts";
import { enrolHost, type HostEnrolled, tokenOf } from "./enrol-host.ts";
import { logOf } from "./logging.ts";
import { type ExitCode, fail, type Machine, type Verb } from "./machine.ts";

/** Enrols this host. Asked twice for the same control plane, it says so and changes nothing. */
export const enroll: Verb = async (machine, asked) => {
  const { flags, texts, settings } = asked;
  if (settings.url === undefined) return fail(machine, "enroll: --url is needed", 2);
  const url = parseEdgeUrl(settings.url, settings.allowHttp);
  if (!url.ok) return fail(machine, url.reason, 2);
  const opened = openNetwork(machine, settings.network, url.origin);
  if (!opened.ok) return fail(machine, `enroll: ${opened.reason}`, opened.isSetting ? 2 : 1);
  const token = await tokenOf(machine, texts);
  if (!token) return fail(machine, "enroll: --token is needed", 2);
  const employee = employeeId.safeParse(settings.employee ?? asEmployee(machine.user));
  if (!employee.success)
    return fail(machine, "--employee must be letters, digits and . _ @ + - (128 at most)", 2);

  const directory = settings.state;
  prepareDirectory(directory, machine.platform);
  const device = await openDeviceKey(directory, machine.platform);
  const before = loadIdentity(directory);
  const log = logOf(machine, settings);
  const as = { edgeUrl: url.origin, token, employeeId: employee.data };
  const hardware = before?.hardware && (await machine.hardware(before.tenantId));
  if (before && hardware && isOtherMachine(before.hardware, hardware)) {
    const copied = { machine, network: opened.network, log, directory, identity: before, hardware };
    machine.complain(`lz-agent: ${whyCopied(before, directory)}: enrolling this machine`);
    return finish(machine, settings, opened.network, await enrolCopy(copied, as));
  }
  if (before && before.edgeUrl === url.origin && !flags.has("force")) {
    machine.print(`already enrolled as ${before.assetId} of ${before.tenantId} at ${before.edgeUrl}`);
    return 0;
  }
  if (before && !flags.has("force")) {
    return fail(
      machine,
      `already enrolled at ${before.edgeUrl} as ${before.assetId} (--force to enrol anew)`,
    );
  }
  // A new asset knows nothing of an isolation of the old one: nobody could release it any more.
  const contained = before && containedIn(directory);
  if (contained) return fail(machine, `enroll: ${whyContained(contained)}: release it first`);

  const enrolled = await enrolHost({ machine, network: opened.network, log, device, ...as });
  if (enrolled.ok) {
    if (before && before.assetId !== enrolled.identity.assetId) forgetContainment(directory);
    saveIdentity(directory, enrolled.identity);
  }
  return finish(machine, settings, opened.network, enrolled);
};

/** Says what became of the enrolment. */
async function finish(
  machine: Machine,
  settings: Settings,
  network: Network,
  enrolled: HostEnrolled,
): Promise<ExitCode> {
  if (!enrolled.ok) {
    const advice = enrolled.isAway ? ` (lz-agent doctor --url ${settings.url} names the cause)` : "";
    return fail(machine, `not enrolled: ${enrolled.reason}${advice}`);
  }
  const { assetId, tenantId, edgeUrl, jwks } = enrolled.identity;
  const deviceKey = readPublicKey(settings.state)!;
  machine.print(`enrolled as ${assetId} of ${tenantId} at ${edgeUrl}`);
  machine.print(
    `device key ${await fingerprintOf(deviceKey)}, directives trusted from ${jwks.keys.length} key(s)`,
  );
  if (isOfThisCall(settings, network))
    machine.print(
      `the daemon needs the proxy and the CA file of this call too: put them into ${settings.config.path}, or give them to lz-agent service install`,
    );
  return 0;
}

/** Whether a proxy or a CA file was found where a daemon that the system starts does not look. */
const isOfThisCall = ({ network, ofThisCall }: Settings, { proxy }: Network): boolean =>
  ofThisCall.includes("proxy") ||
  ofThisCall.includes("ca-file") ||
  (proxy !== undefined && network.proxy === undefined);

/** A login may hold what an employee id may not (`DOMAIN\user` on Windows). */
const asEmployee = (user: string): string =>
  user
    .replace(/^.*\\/, "")
    .replace(/[^A-Za-z0-9._@+-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 128);
