/** In-flight limit over all receivers of a worker. A receiver waits for capacity before it receives. */
export type InFlightLimit = {
  /** Resolves when one more receive fits into the limit, or when `stop` aborts. */
  waitForCapacity(stop: AbortSignal): Promise<void>;
  take(messages: number, bytes: number): void;
  release(messages: number, bytes: number): void;
  now(): { messages: number; bytes: number };
};

export function createInFlightLimit(max: { messages: number; bytes: number }): InFlightLimit {
  let messages = 0;
  let bytes = 0;
  let waiting: (() => void)[] = [];
  const hasRoom = () => messages < max.messages && bytes < max.bytes;
  return {
    async waitForCapacity(stop) {
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
