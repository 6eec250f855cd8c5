import type { RunCommand } from "../../platform/run-command.ts";
import { asciiJson } from "../../scan/system/cim.ts";
import type { RawIdentifiers } from "./identifiers.ts";

export type ReadDeps = {
  platform: NodeJS.Platform;
  run: RunCommand;
  /** Content of a file. Undefined if it cannot be read. */
  read: (path: string) => string | undefined;
  /** Target of a symbolic link. Undefined if it cannot be read. */
  readLink: (path: string) => string | undefined;
};

/** Reads the identifiers of this machine. Never throws. An identifier that cannot be read is absent. */
export async function readIdentifiers(
  deps: ReadDeps,
): Promise<{ raw: RawIdentifiers; isContainer: boolean }> {
  if (deps.platform === "linux") return { raw: linuxIdentifiers(deps.read), isContainer: isContainer(deps) };
  if (deps.platform === "darwin") {
    const { code, stdout } = await deps.run(["ioreg", "-rd1", "-c", "IOPlatformExpertDevice"]);
    return { raw: code === 0 ? parseIoreg(stdout) : {}, isContainer: false };
  }
  if (deps.platform === "win32") {
    const { code, stdout } = await deps.run([...POWERSHELL, WINDOWS_SCRIPT]);
    return { raw: code === 0 ? parseWindows(stdout) : {}, isContainer: false };
  }
  return { raw: {}, isContainer: false };
}

/**
 * SMBIOS values from sysfs. Only root can read the UUID and the serial numbers. On hosts with a device tree,
 * the serial number comes from there.
 */
const linuxIdentifiers = (read: ReadDeps["read"]): RawIdentifiers => ({
  uuid: read("/sys/class/dmi/id/product_uuid"),
  serials: [
    read("/sys/class/dmi/id/product_serial"),
    read("/sys/class/dmi/id/board_serial"),
    read("/proc/device-tree/serial-number"),
  ],
  // Source: machine-id(5).
  machineId: read("/etc/machine-id") ?? read("/var/lib/dbus/machine-id"),
});

/** Inode of the initial PID namespace (`PROC_PID_INIT_INO` in the kernel's include/linux/proc_ns.h). */
const INITIAL_PID_NAMESPACE = "pid:[4026531836]";

/**
 * Whether this process is in a container, which has its own PID namespace. Other containers on the same host
 * report the same mainboard.
 */
const isContainer = ({ readLink }: Pick<ReadDeps, "readLink">): boolean => {
  const namespace = readLink("/proc/self/ns/pid");
  return namespace !== undefined && namespace !== INITIAL_PID_NAMESPACE;
};

/** Parses the output of `ioreg -rd1 -c IOPlatformExpertDevice`, which has lines of the form `"name" = "value"`. */
export function parseIoreg(output: string): RawIdentifiers {
  const member = (name: string) => new RegExp(`"${name}" = "([^"]*)"`).exec(output)?.[1];
  return { uuid: member("IOPlatformUUID"), serials: [member("IOPlatformSerialNumber")] };
}

const POWERSHELL = ["powershell.exe", "-NoProfile", "-NonInteractive", "-Command"];

/**
 * Sources: https://learn.microsoft.com/windows/win32/cimwin32prov/win32-computersystemproduct and
 * win32-baseboard.
 */
const WINDOWS_SCRIPT =
  "$p=Get-CimInstance Win32_ComputerSystemProduct; $b=Get-CimInstance Win32_BaseBoard | Select-Object -First 1; " +
  "$m=(Get-ItemProperty 'HKLM:\\SOFTWARE\\Microsoft\\Cryptography' -ErrorAction SilentlyContinue).MachineGuid; " +
  asciiJson("[pscustomobject]@{ u=$p.UUID; s=$p.IdentifyingNumber; b=$b.SerialNumber; m=$m }");

/** Parses the output of WINDOWS_SCRIPT: a JSON object whose values are strings or null. */
export function parseWindows(output: string): RawIdentifiers {
  let row: Record<string, unknown>;
  try {
    row = Object(JSON.parse(output)) as Record<string, unknown>;
  } catch {
    return {};
  }
  const member = (name: string) => (typeof row[name] === "string" ? row[name] : undefined);
  return { uuid: member("u"), serials: [member("s"), member("b")], machineId: member("m") };
}
