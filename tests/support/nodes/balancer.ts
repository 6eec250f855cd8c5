/** Between two questions to a node whether it is ready. */
const LOOK_EVERY_MS = 100;
const LOOK_MS_MAX = 2000;

const isRefused = (cause: unknown): boolean =>
  ["ECONNREFUSED", "ConnectionRefused"].includes((cause as { code?: string }).code ?? "");

/**
 * Nodes behind one address, as a load balancer makes them: in turn, those alone that say at `/readyz` that they are
 * ready. A node that refuses the connection costs nobody a request; whatever else becomes of one is the client's to see.
 */
export type Balancer = {
  /** Sends to whichever node has its turn: origin and port of `url` do not count. */
  fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Resolves once this node is given requests. */
  untilIn: (node: string) => Promise<void>;
  /** How many requests each node has answered. */
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

  /** Those that are in, from the one whose turn it is; all of them when none is. */
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
