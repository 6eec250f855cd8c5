import { type Files, optional } from "./files.ts";
import type { Mounts } from "./mounts.ts";

const STATUS_BYTES_MAX = 16 * 1024;
/** capabilities(7): it sees processes in spite of the option. */
const CAP_SYS_PTRACE = 19n;

export const HIDING_DETAIL = "processes of other users are hidden from the agent (hidepid): run it as root";

/**
 * Whether procfs hides other users' processes: mount option `hidepid=invisible` or `ptraceable` (proc(5)). It does not
 * apply to members of the group that the option `gid` names, nor to processes that may trace others.
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
