/** Interval between readiness probes of a node, in milliseconds. */
const LOOK_EVERY_MS = 100;
const LOOK_MS_MAX = 2000;

const isRefused = (cause: unknown): boolean =>
  ["ECONNREFUSED", "ConnectionRefused"].includes((cause as { code?: string }).code ?? "");

/**
 * A test double for a load balancer. It sends requests in turn to the nodes that report ready at `/readyz`.
 * It skips a node that refuses the connection. All other failures are returned to the client.
 */
export type Balancer = {
  /** Sends the request to the next node. The origin of `url` is ignored. */
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Resolves once the balancer sends requests to this node. */
  untilIn: (node: string) => Promise<void>;
  /** Number of requests that each node has answered. */
  answered: ReadonlyMap<string, number>;
  stop: () => Promise<void>;
};

export function startBalancer(nodes: readonly string[]): Balancer {
  const ready = new Set<string>();
  const answered = new Map(nodes.map((node) => [node, 0]));
  let turn = 0;
  let isStopped = false;

  async function look(node: string): Promise<void> {
    const asked = fetch(`${node}/readyz`, { keepalive: false, signal: AbortSignal.timeout(LOOK_MS_MAX) });
    const isReady = await asked.then(
      async (answer) => {
        await answer.body?.cancel();
        return answer.ok;
      },
      () => false,
    );
    if (isReady) ready.add(node);
    else ready.delete(node);
  }

  const looking = nodes.map(async (node) => {
    while (!isStopped) {
      await look(node);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  });

  /** Returns the ready nodes, starting with the node whose turn is next. Returns all nodes if none is ready. */
  function inTurn(): string[] {
    const all = nodes.filter((node) => ready.has(node));
    const candidates = all.length > 0 ? all : [...nodes];
    const first = turn++ % candidates.length;
    return [...candidates.slice(first), ...candidates.slice(0, first)];
  }

  return {
    answered,
    async fetch(url, init) {
      const { pathname, search } = new URL(url);
      let refused: unknown;
      for (const node of inTurn()) {
        try {
          const answer = await fetch(`${node}${pathname}${search}`, init);
          answered.set(node, answered.get(node)! + 1);
          return answer;
        } catch (cause) {
          if (!isRefused(cause)) throw cause;
          ready.delete(node);
          refused = cause;
        }
      }
      throw refused;
    },
    async untilIn(node) {
      while (!ready.has(node)) await Bun.sleep(20);
    },
    async stop() {
      isStopped = true;
      await Promise.all(looking);
    },
  };
}
