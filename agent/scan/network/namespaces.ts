import { dlopen } from "bun:ffi";
import { closeSync, fstatSync, openSync } from "node:fs";
import type { NetworkSpace } from "../system/host.ts";

/** Opens sockets in other network namespaces of this host. Linux only. */
export type Namespaces = {
  /** False if the agent lacks CAP_SYS_ADMIN or a sandbox forbids setns(2). Checked once and cached. */
  isAllowed(): boolean;
  /**
   * Runs `act` while this thread is in the namespace. A socket stays in the namespace in which it was created, so `act` only
   * has to open a connection. `act` is synchronous, so no other code of the agent runs in the namespace. Throws before it
   * runs `act` if the namespace no longer exists, has changed, or cannot be entered.
   */
  within<T>(space: NetworkSpace, act: () => T): T;
};

/** linux/sched.h */
const CLONE_NEWNET = 0x4000_0000;

/** Stub for systems without network namespaces, and for tests that must not enter a namespace. */
export const noNamespaces: Namespaces = {
  isAllowed: () => false,
  within: () => {
    throw new Error("other network namespaces cannot be entered");
  },
};

/**
 * Enters network namespaces with the calling thread only (setns(2)). All other threads and the agent's own connections stay
 * in the agent's namespace. Calls `stranded`, which must end the process, if the return to the agent's namespace fails.
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
          // Entering the agent's own namespace needs the same privilege and has no effect.
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
        // The process may have ended and its pid may belong to another process.
        if (`net:[${fstatSync(descriptor).ino}]` !== space.name) throw new Error("the namespace has changed");
        if (!enter(descriptor)) throw new Error("setns(2) was refused");
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

/** Loads setns(2) from the C library. The call affects the calling thread only. */
function loadSetns(): (descriptor: number) => boolean {
  const { symbols } = dlopen("libc.so.6", { setns: { args: ["i32", "i32"], returns: "i32" } });
  return (descriptor) => symbols.setns(descriptor, CLONE_NEWNET) === 0;
}
