import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Stack } from "../../local/stack.ts";
import type { Stage } from "../../local/stage.ts";
import { root, runProgram, showFaults, startPart } from "./backends.ts";
import type { Scope } from "./scope.ts";

type Wanted = {
  stack: Stack;
  /**
   * Command that runs the agent, without the agent's own arguments. The command can enter a namespace before
   * it runs the agent.
   */
  command: readonly string[];
  /** Folder for the agent's state. */
  folder: string;
  edgeUrl: string;
  intervalMs: number;
};

/**
 * Enrols an agent and runs it as a daemon until the scope ends. Returns when the edge has accepted the first
 * heartbeat.
 */
export async function startAgent(
  scope: Scope,
  { stack, command, folder, edgeUrl, intervalMs }: Wanted,
): Promise<{ assetId: string; stage: Stage }> {
  const state = join(folder, "agent");
  mkdirSync(state, { mode: 0o700 });
  const { token } = (await callAdmin(stack, "/v1/enrolment-tokens", { uses: 1 })) as { token: string };
  const enrolment = ["--url", edgeUrl, "--token", token, "--employee", "bench", "--allow-http"];
  await runProgram(scope, "the enrolment", [...command, "enroll", ...enrolment, "--state", state]);
  const stage = await startPart(scope, {
    name: "agent",
    command: [...command, "run", "--state", state, "--interval", String(intervalMs)],
    env: { PATH: process.env.PATH ?? "", HOME: folder },
    cwd: root,
    onLine: showFaults,
    isReady: (line) => line.includes("control-plane.online"),
  });
  const { items } = (await callAdmin(stack, "/v1/assets")) as { items: { assetId: string }[] };
  return { assetId: items[0]!.assetId, stage };
}

let requests = 0;

/**
 * Sends a request to the admin API: a POST request if there is a body, otherwise a GET request. Throws an
 * error unless the status is 2xx.
 */
export async function callAdmin(stack: Stack, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(`${stack.edgeUrl}${path}`, {
    method: body ? "POST" : "GET",
    headers: {
      authorization: `Bearer ${stack.adminToken}`,
      ...(body && { "content-type": "application/json", "idempotency-key": `bench-request-${++requests}` }),
    },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${path} returned ${answer.status}: ${await answer.text()}`);
  return answer.json();
}
