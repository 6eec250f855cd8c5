import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadIdentity } from "../../../agent/identity/device-identity.ts";
import type { PostDeps } from "../../../agent/network/control-plane-client.ts";
import type { AgentSettings } from "../../../shared/wire/agent-settings.ts";
import { type Fleet, startFleet } from "../../support/agent/simulated-agents.ts";
import { eventually, startTestStack, type TestStack } from "../../support/stack.ts";

/*
 * Tests a real edge, table and queue with modules of the real agent. A simulated compromised edge node
 * between edge and agent changes the responses to enrolment and session requests.
 */

type Answer = { settings: AgentSettings; signedSettings?: string };
type Lie = (answer: Answer) => object;

const HONEST: Lie = (answer) => answer;
const GREEDY = { heartbeatIntervalMs: 600_000, clientDirectories: true };

let stack: TestStack;
let fleet: Fleet | undefined;
const folder = mkdtempSync(join(tmpdir(), "lz-settings-"));
beforeAll(async () => {
  stack = await startTestStack("bun");
});
afterEach(async () => {
  await fleet?.stop();
  fleet = undefined;
});
afterAll(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function startAgent(name: string, first: Lie) {
  const node = { lie: first, seen: [] as Answer[] };
  const lying: PostDeps["fetch"] = async (url, init) => {
    const answer = await fetch(url, init);
    if (!answer.ok || !["/v1/enroll", "/v1/session"].includes(new URL(url).pathname)) return answer;
    const body = (await answer.json()) as Answer;
    node.seen.push(body);
    const { status, headers } = answer;
    const said = JSON.stringify(node.lie(body));
    return new Response(said, { status, headers: { date: headers.get("date") ?? "" } });
  };
  const token = await stack.enrolmentToken();
  const where = { folder: join(folder, name), edgeUrl: stack.edgeUrl };
  fleet = await startFleet({ count: 1, ...where, token, intervalMs: 1000, fetch: lying });
  return { agent: fleet.agents[0]!, node };
}

async function change(more: Partial<AgentSettings>): Promise<void> {
  const read = await stack.api("/v1/settings");
  const { version: _, ...settings } = (await read.json()) as { version: number };
  const answer = await stack.api("/v1/settings", {
    method: "PUT",
    body: { ...settings, ...more },
    key: crypto.randomUUID(),
    match: read.headers.get("etag")!,
  });
  expect(answer.status).toBe(200);
}

test("agents reject settings that an edge node has forged, before and after an admin has configured the tenant", async () => {
  const { agent, node } = await startAgent("lies", (answer) => ({ ...answer, settings: GREEDY }));
  expect(agent.settings()).toEqual({ heartbeatIntervalMs: 5000, clientDirectories: false });
  await change({ heartbeatIntervalMs: 7000 });
  await agent.renew();
  expect(agent.settings()).toEqual({ heartbeatIntervalMs: 7000, clientDirectories: false });
  const { signedSettings } = node.seen.at(-1)!;
  const [header, payload, signature] = signedSettings!.split(".");
  const claims = JSON.parse(Buffer.from(payload!, "base64url").toString());
  const forged = Buffer.from(JSON.stringify({ ...claims, ...GREEDY, version: claims.version + 1 }));
  const altered = `${header}.${forged.toString("base64url")}.${signature}`;
  node.lie = (answer) => ({ ...answer, settings: GREEDY, signedSettings: altered });
  await agent.renew();
  expect(agent.settings()).toEqual({ heartbeatIntervalMs: 7000, clientDirectories: false });
  expect(agent.log).toContain("warn settings.refused no pinned control key signed them for this tenant");
}, 60_000);

test("an admin's change reaches the agent, and a replayed older change is rejected", async () => {
  await change({ heartbeatIntervalMs: 5000, clientDirectories: true });
  const { agent, node } = await startAgent("older", HONEST);
  expect(agent.settings()).toEqual({ heartbeatIntervalMs: 5000, clientDirectories: true });
  const { signedSettings: old } = node.seen.at(-1)!;
  await change({ clientDirectories: false });
  await agent.renew();
  expect(agent.settings().clientDirectories).toBe(false);
  node.lie = (answer) => ({ ...answer, settings: GREEDY, signedSettings: old });
  await agent.renew();
  expect(agent.settings().clientDirectories).toBe(false);
  expect(agent.log).toContain("warn settings.refused they are older than those in use");
  node.lie = ({ signedSettings: _, ...answer }) => ({ ...answer, settings: GREEDY });
  await agent.renew();
  expect(agent.settings()).toEqual({ heartbeatIntervalMs: 5000, clientDirectories: false });
}, 60_000);

const MAIN = new URL("../../../agent/main.ts", import.meta.url).pathname;

function runAgent(args: readonly string[]) {
  const environment = { PATH: process.env.PATH ?? "", HOME: folder };
  return Bun.spawn([process.execPath, MAIN, ...args], { env: environment, stdout: "pipe", stderr: "pipe" });
}

test("the daemon uses a new heartbeat interval from its next session on, and `lz-agent status` shows it", async () => {
  const state = join(folder, "daemon");
  const where = ["--state", state];
  const token = await stack.enrolmentToken();
  const enrolled = runAgent([
    "enroll",
    "--url",
    stack.edgeUrl,
    "--token",
    token,
    "--employee",
    "ada",
    ...where,
  ]);
  expect([await enrolled.exited, await new Response(enrolled.stderr).text()]).toEqual([0, ""]);
  await change({ heartbeatIntervalMs: 2000, clientDirectories: true });
  const daemon = runAgent(["run", ...where]);
  try {
    const isInUse = async () => loadIdentity(state)?.settings.heartbeatIntervalMs === 2000;
    await eventually(isInUse, 30_000);
  } finally {
    daemon.kill("SIGTERM");
    await daemon.exited;
  }
  const status = runAgent(["status", ...where]);
  expect(await new Response(status.stdout).text()).toMatch(
    /^settings {5}heartbeat every 2 s, working directories reported; signed 20\S+Z$/m,
  );
}, 60_000);
