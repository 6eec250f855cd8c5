import { type Files, optional } from "./files.ts";
import type { Mounts } from "./mounts.ts";

const STATUS_BYTES_MAX = 16 * 1024;
/** A process with this capability sees all other processes, despite `hidepid` (capabilities(7)). */
const CAP_SYS_PTRACE = 19n;

/** Collector detail for a host on which {@link hidesProcesses} is true. */
export const HIDING_DETAIL = "processes of other users are hidden from the agent (hidepid): run it as root";

/**
 * True if procfs hides processes of other users from the agent. The cause is the mount option
 * `hidepid=invisible` or `hidepid=ptraceable` (proc(5)). With `invisible`, members of the group in option
 * `gid` still see all processes. With either value, processes with CAP_SYS_PTRACE still see all processes.
 */
export function hidesProcesses({
  files,
  procRoot,
  mounts,
}: {
  files: Files;
  procRoot: string;
  mounts: Mounts;
}): boolean {
  const options = mounts.at(procRoot)?.options.split(",") ?? [];
  const optionOf = (name: string): string | undefined =>
    options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1);
  if (!/^(?:2|4|invisible|ptraceable)$/.test(optionOf("hidepid") ?? "")) return false;
  const status = optional(() => files.text(`${procRoot}/self/status`, STATUS_BYTES_MAX, "latin1")) ?? "";
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  if ((capabilities >> CAP_SYS_PTRACE) & 1n) return false;
  const groups = `${/^Gid:(.*)$/m.exec(status)?.[1] ?? ""} ${/^Groups:(.*)$/m.exec(status)?.[1] ?? ""}`;
  return optionOf("hidepid") === "ptraceable" || !groups.split(/\s+/).includes(optionOf("gid") ?? "0");
}
