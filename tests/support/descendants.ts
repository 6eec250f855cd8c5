import { readdirSync, readFileSync } from "node:fs";

/** A process of Linux, by what no other one shares. */
export type Process = { pid: number; startedAt: string; command: string };

type Stat = { parent: number; startedAt: string; isZombie: boolean };

function statOf(pid: number): Stat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name may hold spaces and parentheses; behind the last one the fields are plain (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { isZombie: fields[0] === "Z", parent: Number(fields[1]), startedAt: fields[19]! };
  } catch {
    return undefined; // it has ended
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** All that run below a process, without itself. */
export function descendantsOf(root: number): Process[] {
  const stats = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = statOf(Number(name));
      return stat ? [{ pid: Number(name), ...stat }] : [];
    });
  const children = Map.groupBy(stats, ({ parent }) => parent);
  const below = (pid: number): typeof stats =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(root).map(({ pid, startedAt }) => ({ pid, startedAt, command: commandOf(pid) }));
}

export function isRunning({ pid, startedAt }: Process): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.startedAt === startedAt && !stat.isZombie;
}
