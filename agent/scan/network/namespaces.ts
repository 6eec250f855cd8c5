import { dlopen } from "bun:ffi";
import { closeSync, fstatSync, openSync } from "node:fs";
import type { NetworkSpace } from "../system/host.ts";

/** Connections that start in another network namespace of this host. Linux only. */
export type Namespaces = {
  /** False without CAP_SYS_ADMIN or where a sandbox forbids setns(2). Asked once, the answer stays. */
  isAllowed(): boolean;
  /**
   * Runs `act` with this thread in the namespace. A socket belongs for ever to the namespace it was made in, so
   * that `act` needs only begin a connection. Synchronous: nothing else of the agent runs meanwhile. Throws when
   * the namespace is gone, is another one by now, or may not be entered; `act` has not run then.
   */
  within<T>(space: NetworkSpace, act: () => T): T;
};

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;

/** For systems without network namespaces, and for those who must not enter them. */
export const noNamespaces: Namespaces = {
  isAllowed: () => false,
  within: () => {
    throw new Error("other network namespaces cannot be entered");
  },
};

/**
 * Network namespaces of this machine, entered by the thread that asks (setns(2)); every other thread, and with
 * them the connections of the agent itself, stays where it is. `stranded` is called when the way back fails,
 * which the kernel has no reason to let happen: the process must end there and then.
 */
export function createNamespaces(stranded: () => never): Namespaces {
  let home: number | undefined;
  let allowed: boolean | undefined;
  let enter: ((descriptor: number) => boolean) | undefined;

  return {
    isAllowed: () => {
      if (allowed === undefined) {
        try {
          enter = loadSetns();
          home = openSync("/proc/thread-self/ns/net", "r");
          // Entering the own namespace needs the same right and changes nothing.
          allowed = enter(home);
        } catch {
          allowed = false;
        }
      }
      return allowed;
    },
    within: (space, act) => {
      if (!allowed || !enter) throw new Error("other network namespaces cannot be entered");
      const descriptor = openSync(`/proc/${space.pid}/ns/net`, "r");
      try {
        // The process may have ended, and its number be that of another one.
        if (`net:[${fstatSync(descriptor).ino}]` !== space.name) throw new Error("the namespace is gone");
        if (!enter(descriptor)) throw new Error("the namespace may not be entered");
      } finally {
        closeSync(descriptor);
      }
      try {
        return act();
      } finally {
        if (!enter(home!)) stranded();
      }
    },
  };
}

/** setns(2) of the C library; it works on the calling thread alone. */
function loadSetns(): (descriptor: number) => boolean {
  const { symbols } = dlopen("libc.so.6", { setns: { args: ["i32", "i32"], returns: "i32" } });
  return (descriptor) => symbols.setns(descriptor, CLONE_NEWNET) === 0;
}
