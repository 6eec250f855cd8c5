import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  type Device,
  makeDevice,
  makeHeartbeat,
  sessionSigner,
  signedRequest,
} from "../../../lz/platform/simulated-agents.ts";
import { enrolmentAnswer, type SessionRequest, sessionAnswer } from "../../../shared/wire/enrolment.ts";
import { deviceKeyid } from "../../../shared/wire/keyid.ts";
import { eventually, startTestStack, type TestStack } from "../../support/stack.ts";

let stack: TestStack;
beforeAll(async () => {
  stack = await startTestStack("bun");
}, 60_000);
afterAll(async () => stack?.stop(), 60_000);

const board = (letter: string) => ({ id: letter.repeat(43), strength: "board" as const });

async function enrol(hostname: string, hardware: ReturnType<typeof board>) {
  const device = await makeDevice();
  const body = {
    token: await stack.enrolmentToken(),
    deviceKey: device.x,
    employeeId: "dana",
    host: { hostname, os: "Linux", arch: "x64", agentVersion: "0.1.0" },
    hardware,
  };
  const answer = await post("/v1/enroll", body, device, device.x);
  expect(answer.status).toBe(201);
  return { device, ...enrolmentAnswer.parse(await answer.json()) };
}

const post = async (path: string, body: object, device: Device, keyid: string) =>
  fetch(await signedRequest(stack.edgeUrl, path, JSON.stringify(body), device.signer(keyid)));

const session = (
  { device, tenantId, assetId }: Awaited<ReturnType<typeof enrol>>,
  more: Partial<SessionRequest>,
) => post("/v1/session", { agentVersion: "0.1.0", ...more }, device, deviceKeyid(tenantId, assetId));

test("a copied identity on another mainboard gets no session, and opens an incident of the asset", async () => {
  const host = await enrol("golden", board("a"));
  const opened = await session(host, { hardware: board("a") });
  const signer = await sessionSigner(sessionAnswer.parse(await opened.json()));
  const since = Date.now();
  let sequence = 0;
  const agent = { version: "0.1.0", catalogue: "simulated", intervalMs: 1000, run: "r".repeat(22) };
  const beat = async () => {
    const stateSince = new Date(since).toISOString();
    const body = JSON.stringify(makeHeartbeat(++sequence, Date.now(), "golden", { agent, stateSince }));
    return (await fetch(await signedRequest(stack.edgeUrl, "/v1/heartbeats", body, signer))).status;
  };
  expect(await beat()).toBe(202);
  const read = async <T>(path: string) => (await (await stack.api(path)).json()) as T;
  type Read = { presence?: { run?: string } };
  await eventually(async () => (await read<Read>(`/v1/assets/${host.assetId}`)).presence?.run, 20_000);

  const refused = await session(host, { hardware: board("b"), copiedTo: "vdi-2" });
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([409, "asset.copied"]);
  type Listed = { items: { rule: string; explanation: string }[] };
  const incident = await eventually(async () => {
    expect(await beat()).toBe(202);
    const { items } = await read<Listed>(`/v1/assets/${host.assetId}/incidents`);
    return items.find(({ rule }) => rule === "identity-cloned");
  }, 90_000);
  expect(incident.explanation).toStartWith("vdi-2 has a copy of this identity on another mainboard");
}, 120_000);

test("a machine that enrols again links its old and new asset in both directions", async () => {
  const before = await enrol("laptop", board("c"));
  const after = await enrol("laptop-new", board("c"));
  type Read = { enrolledBefore?: string[]; enrolledAgainAs?: string };
  const read = async (assetId: string) => (await (await stack.api(`/v1/assets/${assetId}`)).json()) as Read;
  expect((await read(after.assetId)).enrolledBefore).toEqual([before.assetId]);
  expect((await read(before.assetId)).enrolledAgainAs).toBe(after.assetId);
  expect((await read(after.assetId)).enrolledAgainAs).toBeUndefined();
}, 60_000);
