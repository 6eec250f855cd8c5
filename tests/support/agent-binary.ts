import { join } from "node:path";
import { ROOT } from "./stack.ts";

/** Path of `dist/lz-agent` as these sources make it: compiled, unless they have not changed since. */
export function buildAgent(): string {
  const built = Bun.spawnSync([process.execPath, "agent/build.ts"], { cwd: ROOT });
  if (!built.success) throw new Error(`the agent does not compile:\n${built.stderr.toString()}`);
  return join(ROOT, "dist", "lz-agent");
}
