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

/** Enrols this host. If it is already enrolled at the same control plane, prints that and changes nothing. */
export const enroll: Verb = async (machine, asked) => {
  const { flags, texts, settings } = asked;
  if (settings.url === undefined)
    return fail(machine, "enroll: --url is missing; give the origin of the control plane, or set LZ_URL", 2);
  const url = parseEdgeUrl(settings.url, settings.allowHttp);
  if (!url.ok) return fail(machine, url.reason, 2);
  const opened = openNetwork(machine, settings.network, url.origin);
  if (!opened.ok) return fail(machine, `enroll: ${opened.reason}`, opened.isSetting ? 2 : 1);
  const token = await tokenOf(machine, texts);
  if (!token)
    return fail(machine, "enroll: no enrolment token; give --token-file, or set LZ_ENROLL_TOKEN", 2);
  const employee = employeeId.safeParse(settings.employee ?? asEmployee(machine.user));
  if (!employee.success)
    return fail(
      machine,
      "enroll: --employee must be 1 to 128 letters, digits and . _ @ + -, beginning with a letter or digit",
      2,
    );

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
      `already enrolled at ${before.edgeUrl} as ${before.assetId} (use --force to enrol again)`,
    );
  }
  // Reject the enrolment while the old asset's isolation is in force. The control plane could not release
  // this isolation, because a new asset has none.
  const contained = before && containedIn(directory);
  if (contained) return fail(machine, `enroll: ${whyContained(contained)}: release it first`);

  const enrolled = await enrolHost({ machine, network: opened.network, log, device, ...as });
  if (enrolled.ok) {
    if (before && before.assetId !== enrolled.identity.assetId) forgetContainment(directory);
    saveIdentity(directory, enrolled.identity);
  }
  return finish(machine, settings, opened.network, enrolled);
};

/** Prints the result of the enrolment. */
async function finish(
  machine: Machine,
  settings: Settings,
  network: Network,
  enrolled: HostEnrolled,
): Promise<ExitCode> {
  if (!enrolled.ok) {
    const advice = enrolled.isAway ? ` (run lz-agent doctor --url ${settings.url} to find the cause)` : "";
    return fail(machine, `not enrolled: ${enrolled.reason}${advice}`);
  }
  const { assetId, tenantId, edgeUrl, jwks } = enrolled.identity;
  const deviceKey = readPublicKey(settings.state)!;
  machine.print(`enrolled as ${assetId} of ${tenantId} at ${edgeUrl}`);
  machine.print(
    `device key ${await fingerprintOf(deviceKey)}, directives must be signed by one of ${jwks.keys.length} control key(s)`,
  );
  if (isOfThisCall(settings, network))
    machine.print(
      `the daemon needs the same proxy and CA file: set them in ${settings.config.path}, or pass them to lz-agent service install`,
    );
  return 0;
}

/**
 * Whether a proxy or CA file came from a flag or an environment variable. A daemon that the system starts
 * does not have these.
 */
const isOfThisCall = ({ network, ofThisCall }: Settings, { proxy }: Network): boolean =>
  ofThisCall.includes("proxy") ||
  ofThisCall.includes("ca-file") ||
  (proxy !== undefined && network.proxy === undefined);

/**
 * Converts the login to an employee id. A login can contain characters that an id cannot (`DOMAIN\user` on
 * Windows).
 */
const asEmployee = (user: string): string =>
  user
    .replace(/^.*\\/, "")
    .replace(/[^A-Za-z0-9._@+-]/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 128);
