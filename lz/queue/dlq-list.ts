import type { Verb } from "../platform/deps.ts";
import { count, table } from "../platform/text-table.ts";
import { openDeadLetters } from "./dead-letters.ts";

/**
 * Time for which listed messages are hidden. It is long enough to list every message once, and short enough
 * that a replay right after the list finds them.
 */
const HIDDEN_SECONDS = 5;

/** Lists dead letters without removing them. They contain telemetry, so only their size is shown. */
export const run: Verb = async (args, deps) => {
  const queue = await openDeadLetters(deps);
  const letters = (await queue.take(args.integers.limit!, HIDDEN_SECONDS)).map((letter) => ({
    id: letter.id,
    sentAt: letter.sentAt,
    reason: letter.reason ?? "received too often without success",
    origin: letter.origin,
    bytes: Buffer.byteLength(letter.body),
    canReplay: letter.canReplay,
  }));
  const rows = letters.map(({ sentAt, reason, bytes, canReplay, id }) => [
    sentAt,
    canReplay ? "yes" : "no",
    String(bytes),
    reason,
    id,
  ]);
  return {
    json: letters,
    lines: [
      ...table(["SENT", "REPLAY", "BYTES", "REASON", "ID"], rows),
      "",
      count(letters.length, "dead letter"),
    ],
  };
};
