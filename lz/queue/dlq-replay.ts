import type { Verb } from "../platform/deps.ts";
import { count } from "../platform/text-table.ts";
import { openDeadLetters } from "./dead-letters.ts";

const HIDDEN_SECONDS = 30;

/** Replays what failed for a passing reason: an outage, a key or a schema the worker did not know. A message is taken out only after the queue has accepted it again. */
export const run: Verb = async (args, deps) => {
  const queue = await openDeadLetters(deps);
  const letters = await queue.take(args.integers.limit!, HIDDEN_SECONDS);
  const replayable = letters.filter(({ canReplay }) => canReplay);
  for (const letter of replayable) await queue.replay(letter);
  const left = letters.length - replayable.length;
  return {
    json: { replayed: replayable.length, left },
    lines: [
      `${count(replayable.length, "message")} put on the queue again, ${left} left: they have a reason to be there`,
    ],
  };
};
