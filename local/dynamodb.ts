import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { dynoxidePath } from "./binaries.ts";
import { freePort } from "./free-port.ts";
import { type Stage, startStage } from "./stage.ts";

export type EmbeddedDynamodb = { endpoint: string; stage: Stage };

/** Starts the embedded DynamoDB. Without a file it forgets everything when it stops. */
export async function startDynamodb(
  onLine: (stage: string, line: string) => void,
  file?: string,
): Promise<EmbeddedDynamodb> {
  const port = await freePort();
  if (file) mkdirSync(dirname(file), { recursive: true });
  const stage = await startStage({
    name: "dynamodb",
    command: [dynoxidePath(), "serve", "--port", String(port), ...(file ? ["--db-path", file] : [])],
    env: {},
    cwd: process.cwd(),
    onLine,
    isReady: (line) => line.includes("listening"),
  });
  return { endpoint: `http://127.0.0.1:${port}`, stage };
}
