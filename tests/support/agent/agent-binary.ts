import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startStage } from "../../../local/stage.ts";
import { ROOT, type TestStack } from "../stack.ts";

/** Returns the path of `dist/lz-agent`. Compiles the agent if the sources have changed since the last build. */
export function buildAgent(): string {
  const built = Bun.spawnSync([process.execPath, "tools/build-agent.ts"], { cwd: ROOT });
  if (!built.success) throw new Error(`the agent does not compile:\n${built.stderr.toString()}`);
  return join(ROOT, "dist", "lz-agent");
}

/**
 * Enrols this host with the compiled agent and runs it until the test stack stops. `home` is the agent's home
 * directory.
 */
export async function runAgent(binary: string, stack: TestStack, home: string): Promise<void> {
  const config = join(home, "agent.json");
  writeFileSync(config, "{}", { mode: 0o600 });
  const env = { PATH: process.env.PATH ?? "", HOME: home, LZ_CONFIG: config };
  const state = join(home, "state");
  const secrets = { LZ_ENROLL_TOKEN: await stack.enrolmentToken(), LZ_EMPLOYEE: "ada" };
  const enroll = [binary, "enroll", "--url", stack.edgeUrl, "--state", state];
  const enrolled = Bun.spawnSync(enroll, { env: { ...env, ...secrets } });
  if (!enrolled.success) throw new Error(`the agent does not enrol:\n${enrolled.stderr.toString()}`);
  stack.add(
    await startStage({
      name: "agent",
      command: [binary, "run", "--state", state, "--interval", "500"],
      env,
      cwd: home,
      onLine: (_stage, line) => stack.lines.push(line),
      isReady: (line) => line.includes("control-plane.online"),
      readyMs: 60_000,
    }),
  );
}
