import { posix } from "node:path";
import { baseName } from "../system/base-name.ts";
import { type Files, optional } from "../system/files.ts";
import type { Forward, Listener, ProcessFacts } from "../system/host.ts";
import type { Mounts } from "../system/mounts.ts";

export type PortForwarders = {
  /** Targets by the pid of the forwarder. The same map as before while it says the same. */
  read(
    listeners: readonly Listener[],
    processes: ReadonlyMap<number, ProcessFacts>,
  ): ReadonlyMap<number, Forward>;
};

const PROGRAM = "docker-proxy";
const NAMESPACES = ["user", "pid", "net"] as const;
const STATUS_BYTES_MAX = 4096;
const WRITABLE_BY_OTHERS = 0o022;
/** Real, effective, saved and file-system user: a setuid program that a user started has another real one. */
const ALL_ROOT = /^Uid:\t0\t0\t0\t0$/m;

/**
 * Finds Docker's port forwarders among the processes that listen. What the command line says is believed only when no
 * local user could have written it: the executable is a file of root in directories of root, that no one else may
 * write, and it runs as root in the namespaces of the agent.
 */
export function createPortForwarders(deps: {
  files: Files;
  procRoot: string;
  mounts: Mounts;
}): PortForwarders {
  const { files, procRoot, mounts } = deps;
  const judged = new WeakMap<ProcessFacts, Forward | "none">();
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
    let forward = judged.get(process);
    if (!forward) {
      forward = (isTrusted(process) && dockerTarget(process.argv)) || "none";
      judged.set(process, forward);
    }
    return forward === "none" ? undefined : forward;
  }

  function isTrusted({ pid, executable }: ProcessFacts): boolean {
    const root = `${procRoot}/${pid}`;
    // First what the kernel says by itself: a user's file system may never answer.
    const status = optional(() => files.text(`${root}/status`, STATUS_BYTES_MAX, "latin1")) ?? "";
    if (!ALL_ROOT.test(status) || !NAMESPACES.every((name) => isOwnNamespace(root, name))) return false;
    if (mounts.ofPath(executable!).class !== "local") return false;
    const runs = optional(() => files.facts(`${root}/exe`));
    const named = optional(() => files.facts(executable!));
    // In another mount namespace the same path can be another file.
    if (!runs?.isFile || runs.identity !== named?.identity || !isOfRoot(runs)) return false;
    for (let at = posix.dirname(executable!); ; at = posix.dirname(at)) {
      const directory = optional(() => files.facts(at));
      if (!directory || !isOfRoot(directory)) return false;
      if (at === "/" || at === ".") break;
    }
    return true;
  }

  function isOwnNamespace(root: string, name: string): boolean {
    const its = optional(() => files.link(`${root}/ns/${name}`));
    return its !== undefined && its === optional(() => files.link(`${procRoot}/self/ns/${name}`));
  }
}

const isOfRoot = ({ ownerUid, mode }: { ownerUid: number; mode: number }): boolean =>
  ownerUid === 0 && (mode & WRITABLE_BY_OTHERS) === 0;

/** `docker-proxy … -container-ip A -container-port P` (cmd/docker-proxy/main_linux.go of moby). */
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
