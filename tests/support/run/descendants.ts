import { readdirSync, readFileSync } from "node:fs";

/** A process, identified by its id and start time. */
export type Process = { pid: number; startedAt: string; command: string };

type Stat = Process & { parent: number; isZombie: boolean };
/** Lists the processes of this machine. */
export type Lister = () => Stat[];

function statOf(pid: number): Stat | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // In /proc/PID/stat, the process name can contain spaces and parentheses. The fields after the last
    // parenthesis contain neither (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return { pid, isZombie: fields[0] === "Z", parent: Number(fields[1]), startedAt: fields[19]!, command };
  } catch {
    return undefined; // The process has ended.
  }
}

const listProc: Lister = () =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);

/** Matches a line of ps(1): process id, parent, state, start time in five words, command. */
const PS_LINE = /^ *(\d+) +(\d+) +(\S+) +((?:\S+ +){4}\S+) (.*)$/gm;

/** Lists processes with ps(1), on systems without /proc. */
export const listPs: Lister = () => {
  const columns = "pid=,ppid=,stat=,lstart=,command=";
  const { stdout } = Bun.spawnSync(["ps", "-ax", "-o", columns], { env: { ...process.env, LC_ALL: "C" } });
  return [...stdout.toString().matchAll(PS_LINE)].map(([, pid, parent, state, startedAt, command]) => ({
    pid: Number(pid),
    parent: Number(parent),
    isZombie: state!.startsWith("Z"),
    startedAt: startedAt!,
    command: command!,
  }));
};

const listOf: Record<string, Lister> = { linux: listProc, win32: () => [] };
const listProcesses: Lister = listOf[process.platform] ?? listPs;

/** Returns all processes below `root`, without `root` itself and without zombies. */
export function descendantsOf(root: number, list: Lister = listProcesses): Process[] {
  const children = Map.groupBy(list(), ({ parent }) => parent);
  const below = (pid: number): Stat[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(root)
    .filter(({ isZombie }) => !isZombie)
    .map(({ pid, startedAt, command }) => ({ pid, startedAt, command }));
}

/** True if the process with this id and start time still runs. Linux only. */
export function isRunning({ pid, startedAt }: Process): boolean {
  const stat = statOf(pid);
  return stat !== undefined && stat.startedAt === startedAt && !stat.isZombie;
}
