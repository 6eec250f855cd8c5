import type { PendingActions } from "../heartbeat/pending-actions.ts";
import type { PendingAction } from "../heartbeat/read-pending-actions.ts";

/** Requests of agents that are answered when there is something to say. */
export type LongPolls = {
  /**
   * Resolves with an action of this asset that is due. With undefined after `holdMs`, when the client has gone, or
   * when the same asset asks again: a host has one question open. Gives none when this node holds all it may.
   */
  hold(asked: {
    tenantId: string;
    assetId: string;
    isDue: (action: PendingAction) => boolean;
    holdMs: number;
    signal: AbortSignal;
  }): Promise<PendingAction | undefined> | undefined;
  /** Answers all that are held, and holds no more: the node is stopping. */
  end(): void;
};

/** @param heldMax as many at once on this node */
export function createLongPolls(
  pendingActions: Pick<PendingActions, "watch">,
  after: (ms: number, then: () => void) => () => void,
  heldMax: number,
): LongPolls {
  /** How to let each held one go, by tenant and asset. */
  const held = new Map<string, () => void>();
  let isEnding = false;

  return {
    hold({ tenantId, assetId, isDue, holdMs, signal }) {
      const name = `${tenantId} ${assetId}`;
      held.get(name)?.();
      if (isEnding || held.size >= heldMax) return undefined;
      const { promise, resolve } = Promise.withResolvers<PendingAction | undefined>();
      const letGo = (action?: PendingAction): void => {
        held.delete(name);
        unwatch();
        cancel();
        signal.removeEventListener("abort", gone);
        resolve(action);
      };
      const gone = (): void => letGo();
      const unwatch = pendingActions.watch(tenantId, assetId, (action) => {
        if (isDue(action)) letGo(action);
      });
      const cancel = after(holdMs, gone);
      signal.addEventListener("abort", gone, { once: true });
      held.set(name, gone);
      if (signal.aborted) gone();
      return promise;
    },
    end() {
      isEnding = true;
      for (const letGo of [...held.values()]) letGo();
    },
  };
}
