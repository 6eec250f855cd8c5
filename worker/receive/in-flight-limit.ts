/** In-flight limit over all receivers of a worker. A receiver waits for capacity before it receives. */
export type Load = {
  /** Resolves when one more receive fits into the limit, or when `stop` aborts. */
  room(stop: AbortSignal): Promise<void>;
  take(messages: number, bytes: number): void;
  release(messages: number, bytes: number): void;
  now(): { messages: number; bytes: number };
};

export function createLoad(max: { messages: number; bytes: number }): Load {
  let messages = 0;
  let bytes = 0;
  let waiting: (() => void)[] = [];
  const hasRoom = () => messages < max.messages && bytes < max.bytes;
  return {
    async room(stop) {
      while (!hasRoom() && !stop.aborted) {
        await new Promise<void>((resolve) => {
          const done = () => {
            stop.removeEventListener("abort", done);
            resolve();
          };
          waiting.push(done);
          stop.addEventListener("abort", done, { once: true });
        });
      }
    },
    take(more, moreBytes) {
      messages += more;
      bytes += moreBytes;
    },
    release(less, lessBytes) {
      messages -= less;
      bytes -= lessBytes;
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
    now: () => ({ messages, bytes }),
  };
}
