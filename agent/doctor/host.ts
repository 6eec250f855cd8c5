import { accessSync, constants, existsSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { lockHolder, processBirth } from "../daemon/single-instance-lock.ts";
import { readStatus } from "../daemon/status-file.ts";
import { type Identity, loadIdentity } from "../identity/device-identity.ts";
import { codeOf, remedyOf, StateFault } from "../platform/state-files.ts";
import { type Check, failed, passed, skipped } from "./check.ts";

const OTHERS_WRITE = 0o022;

/** Checks that the agent can write to its state directory. Writes one small file and deletes it. */
export function checkStateDirectory(directory: string, platform: NodeJS.Platform, pid: number): Check {
  const name = "state directory";
  try {
    if (!existsSync(directory)) {
      let parent = dirname(directory);
      while (!existsSync(parent) && dirname(parent) !== parent) parent = dirname(parent);
      accessSync(parent, constants.W_OK);
      return passed(name, `${directory} does not exist yet; lz-agent enroll creates it`);
    }
    const { mode } = statSync(directory);
    if (platform !== "win32" && (mode & OTHERS_WRITE) !== 0)
      return failed(name, `${directory} is writable by others`, `run chmod 700 ${directory}`);
    const probe = join(directory, `doctor-${pid}.tmp`);
    writeFileSync(probe, "lz-agent doctor\n", { mode: 0o600, flag: "wx" });
    unlinkSync(probe);
    return passed(name, `${directory} is writable`);
  } catch (cause) {
    const code = codeOf(cause);
    return failed(name, `${directory} cannot be written (${code})`, cureOf(code));
  }
}

const cureOf = (code: string): string =>
  code === "ENOSPC" || code === "EDQUOT"
    ? "free some space on this disk"
    : code === "EROFS"
      ? "remount this file system writable, or set state to another directory"
      : remedyOf(code);

export type Enrolment = { check: Check; identity: Identity | undefined };

/**
 * Checks the enrolment of this host.
 *
 * @param isPreflight true if the doctor only checks whether this host could enrol. A missing enrolment is
 * then not a failure.
 */
export function checkEnrolment(directory: string, isRoot: boolean, isPreflight: boolean): Enrolment {
  const name = "enrolment";
  try {
    const identity = loadIdentity(directory);
    if (identity) {
      const { assetId, tenantId, edgeUrl } = identity;
      return { check: passed(name, `${assetId} of ${tenantId} at ${edgeUrl}`), identity };
    }
    const detail = `this host is not enrolled (no identity in ${directory})`;
    if (isPreflight) return { check: skipped(name, detail), identity };
    const cure = `run lz-agent enroll --url URL --token-file FILE${isRoot ? "" : "; if the agent runs as a service, run doctor as root"}`;
    return { check: failed(name, detail, cure), identity };
  } catch (cause) {
    if (!(cause instanceof StateFault)) throw cause;
    const [detail = "", ...cure] = cause.message.split(": ");
    return { check: failed(name, detail, cure.join(": ") || "check the disk"), identity: undefined };
  }
}

const START: Partial<Record<NodeJS.Platform, string>> = {
  linux: "run systemctl start lz-agent; journalctl -u lz-agent -n 50 shows why it stopped",
  darwin:
    "run sudo launchctl kickstart system/com.lifecyclezero.agent; the log is in /Library/Logs/LifecycleZero",
  win32: "run sc start LifecycleZeroAgent; the log is agent.log in the state directory",
};

/**
 * Checks the daemon.
 *
 * @param proxy the proxy in the settings of this call, as `host:port` or `none`. It is compared with the daemon's proxy.
 */
export function checkService(
  directory: string,
  platform: NodeJS.Platform,
  isEnrolled: boolean,
  proxy: string | undefined,
): Check {
  const name = "service";
  if (!isEnrolled) return skipped(name, "the daemon needs an enrolled host");
  const holder = lockHolder(directory, { birthOf: (pid) => processBirth(pid, platform) });
  if (!holder) {
    const start = START[platform];
    const cure = `run lz-agent service install${start ? `; if it is installed, ${start}` : ""}`;
    return failed(name, "the daemon is not running", cure);
  }
  const daemon = readStatus(directory);
  const { connection = "starting", reason } = daemon ?? {};
  const detail = `the daemon runs as process ${holder.pid} and is ${connection}${reason ? `: ${reason}` : ""}`;
  if (connection === "online" || connection === "starting") return passed(name, detail);
  if (daemon?.proxy !== undefined && proxy !== undefined && daemon.proxy !== proxy)
    return failed(
      name,
      `${detail}; its proxy is ${daemon.proxy}, the proxy of this call is ${proxy}`,
      "set proxy in the configuration file or pass --proxy to lz-agent service install, then restart the service",
    );
  if (connection === "revoked")
    return failed(name, detail, "run lz-agent enroll --force with a new enrolment token");
  return failed(name, detail, "fix the failures above; if there are no others, restart the service");
}
