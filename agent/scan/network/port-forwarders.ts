import { posix } from "node:path";
import { baseName } from "../system/base-name.ts";
import { type Files, optional } from "../system/files.ts";
import type { Forward, Listener, ProcessFacts } from "../system/host.ts";
import type { Mounts } from "../system/mounts.ts";

export type PortForwarders = {
  /**
   * Forwarding targets by the pid of the forwarder. Returns the same map as before while the targets are
   * unchanged.
   */
  read(
    listeners: readonly Listener[],
    processes: ReadonlyMap<number, ProcessFacts>,
  ): ReadonlyMap<number, Forward>;
};

const PROGRAM = "docker-proxy";
const NAMESPACES = ["user", "pid", "net"] as const;
const STATUS_BYTES_MAX = 4096;
const WRITABLE_BY_OTHERS = 0o022;
/**
 * The real, effective, saved and file-system user ids are all root. A setuid program keeps the real user id
 * of the user who started it.
 */
const ALL_ROOT = /^Uid:\t0\t0\t0\t0$/m;

/**
 * Finds Docker's port forwarders among the listening processes. The agent trusts their command line only if
 * no local user can forge it. Therefore the executable and its directories must belong to root and be
 * writable by root only, and the process must run as root in the agent's namespaces.
 */
export function createPortForwarders(deps: {
  files: Files;
  procRoot: string;
  mounts: Mounts;
}): PortForwarders {
  const { files, procRoot, mounts } = deps;
  const cache = new WeakMap<ProcessFacts, Forward | "none">();
  let last: ReadonlyMap<number, Forward> = new Map();
  return {
    read: (listeners, processes) => {
      const found = new Map<number, Forward>();
      for (const { pid } of listeners) {
        const process = pid === undefined ? undefined : processes.get(pid);
        if (!process?.executable || baseName(process.executable) !== PROGRAM) continue;
        const forward = forwardOf(process);
        if (forward) found.set(process.pid, forward);
      }
      if (!isSame(last, found)) last = found;
      return last;
    },
  };

  function forwardOf(process: ProcessFacts): Forward | undefined {
    let forward = cache.get(process);
    if (!forward) {
      forward = (isTrusted(process) && dockerTarget(process.argv)) || "none";
      cache.set(process, forward);
    }
    return forward === "none" ? undefined : forward;
  }

  function isTrusted({ pid, executable }: ProcessFacts): boolean {
    const root = `${procRoot}/${pid}`;
    // Check facts from the kernel first, because reading a user's file system can block for ever.
    const status = optional(() => files.text(`${root}/status`, STATUS_BYTES_MAX, "latin1")) ?? "";
    if (!ALL_ROOT.test(status) || !NAMESPACES.every((name) => isOwnNamespace(root, name))) return false;
    if (mounts.ofPath(executable!).class !== "local") return false;
    const running = optional(() => files.facts(`${root}/exe`));
    const named = optional(() => files.facts(executable!));
    // In another mount namespace, the same path can lead to another file.
    if (!running?.isFile || running.identity !== named?.identity || !isOwnedByRoot(running)) return false;
    for (let at = posix.dirname(executable!); ; at = posix.dirname(at)) {
      const directory = optional(() => files.facts(at));
      if (!directory || !isOwnedByRoot(directory)) return false;
      if (at === "/" || at === ".") break;
    }
    return true;
  }

  function isOwnNamespace(root: string, name: string): boolean {
    const its = optional(() => files.link(`${root}/ns/${name}`));
    return its !== undefined && its === optional(() => files.link(`${procRoot}/self/ns/${name}`));
  }
}

/** True if root owns the file and only root can write to it. */
const isOwnedByRoot = ({ ownerUid, mode }: { ownerUid: number; mode: number }): boolean =>
  ownerUid === 0 && (mode & WRITABLE_BY_OTHERS) === 0;

/**
 * Target named in the command line `docker-proxy … -container-ip A -container-port P` (moby,
 * cmd/docker-proxy/main_linux.go).
 */
export function dockerTarget(argv: readonly string[]): Forward | undefined {
  const address = wordAfter(argv, "-container-ip");
  const port = Number(wordAfter(argv, "-container-port"));
  return address && Number.isInteger(port) ? { address, port } : undefined;
}

const wordAfter = (argv: readonly string[], option: string): string | undefined => {
  const at = argv.indexOf(option);
  return at < 0 ? undefined : argv[at + 1];
};

function isSame(before: ReadonlyMap<number, Forward>, after: ReadonlyMap<number, Forward>): boolean {
  if (before.size !== after.size) return false;
  return [...after].every(([pid, { address, port }]) => {
    const one = before.get(pid);
    return one?.address === address && one.port === port;
  });
}
