import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";

/**
 * Backup of the embedded queue. The queue keeps its messages only in memory. The edge has already
 * acknowledged these heartbeats, so the messages must survive a stop. The queue writes them to a file when it
 * stops, and reads them when it starts.
 */

const Message = z.object({ body: z.string(), attributes: z.record(z.string(), z.unknown()) });
const Backup = z.object({ version: z.literal(1), queues: z.record(z.string(), z.array(Message)) });
export type QueueBackup = z.infer<typeof Backup>;
export type QueueMessage = z.infer<typeof Message>;

/** Messages in the last backup. Empty if there is no file. Throws if the file is not a backup. */
export function readQueueBackup(file: string): QueueBackup {
  if (!existsSync(file)) return { version: 1, queues: {} };
  try {
    return Backup.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (cause) {
    throw new Error(`${file} is not a queue backup: delete it to start with an empty queue`, { cause });
  }
}

/** Replaces the backup atomically. Heartbeats are personal data, so only the owner can read the file. */
export function writeQueueBackup(file: string, backup: QueueBackup): void {
  if (countMessages(backup) === 0) {
    rmSync(file, { force: true });
    return;
  }
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.new`;
  writeFileSync(fresh, JSON.stringify(backup), { mode: 0o600 });
  renameSync(fresh, file);
}

export const countMessages = ({ queues }: QueueBackup, queue?: string): number =>
  Object.entries(queues).reduce(
    (sum, [name, messages]) => (queue === undefined || queue === name ? sum + messages.length : sum),
    0,
  );
