import type { PendingActions } from "../heartbeat/pending-actions.ts";
import type { PendingAction } from "../heartbeat/read-pending-actions.ts";

/** Long polls of agents that wait for a directive on this node. */
export type LongPolls = {
  /**
   * Opens a long poll. Resolves with the pending action of this asset as soon as its directive is due.
   * Resolves with undefined after `holdMs`, when the client disconnects, or when the same asset opens another
   * long poll. A host has at most one long poll.
   *
   * @returns undefined if this node has reached the maximum number of long polls or is shutting down
   */
  open(poll: {
    tenantId: string;
    assetId: string;
    isDue: (action: PendingAction) => boolean;
    holdMs: number;
    signal: AbortSignal;
  }): Promise<PendingAction | undefined> | undefined;
  /** Resolves all open long polls with undefined and accepts no new ones. Part of the graceful shutdown. */
  end(): void;
};

/** @param openMax maximum number of open long polls on this node */
export function createLongPolls(
  pendingActions: Pick<PendingActions, "watch">,
  after: (ms: number, then: () => void) => () => void,
  openMax: number,
): LongPolls {
  /** One function per open long poll, by tenant and asset. Calling the function ends the long poll. */
  const open = new Map<string, () => void>();
  let isEnding = false;

  return {
    open({ tenantId, assetId, isDue, holdMs, signal }) {
      const name = `${tenantId} ${assetId}`;
      open.get(name)?.();
      if (isEnding || open.size >= openMax) return undefined;
      const { promise, resolve } = Promise.withResolvers<PendingAction | undefined>();
      const close = (action?: PendingAction): void => {
        open.delete(name);
        unwatch();
        cancel();
        signal.removeEventListener("abort", end);
        resolve(action);
      };
      const end = (): void => close();
      const unwatch = pendingActions.watch(tenantId, assetId, (action) => {
        if (isDue(action)) close(action);
      });
      const cancel = after(holdMs, end);
      signal.addEventListener("abort", end, { once: true });
      open.set(name, end);
      if (signal.aborted) end();
      return promise;
    },
    end() {
      isEnding = true;
      for (const end of [...open.values()]) end();
    },
  };
}
