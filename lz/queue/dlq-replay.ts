import type { Verb } from "../platform/deps.ts";
import { count } from "../platform/text-table.ts";
import { openDeadLetters } from "./dead-letters.ts";

const HIDDEN_SECONDS = 30;

/**
 * Sends messages again if they failed for a temporary reason, such as an outage or a key that the worker did
 * not know yet. A message is deleted only after the queue has accepted it.
 */
export const run: Verb = async (args, deps) => {
  const queue = await openDeadLetters(deps);
  const letters = await queue.take(args.integers.limit!, HIDDEN_SECONDS);
  const replayable = letters.filter(({ canReplay }) => canReplay);
  for (const letter of replayable) await queue.replay(letter);
  const left = letters.length - replayable.length;
  return {
    json: { replayed: replayable.length, left },
    lines: [
      `${count(replayable.length, "message")} sent to the queue again; ${left} left, because the worker can never process them`,
    ],
  };
};
