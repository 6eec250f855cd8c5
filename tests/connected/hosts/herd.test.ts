import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { changeHerd, enrolAssets, enrolHerd, policyHerd, verifyLog } from "../../../bench/load/herd.ts";
import { edgeCommand } from "../../../local/edge-command.ts";
import { freePort } from "../../../local/free-port.ts";
import { edgeEnvironment } from "../../../local/stack.ts";
import { type Stage, startStage } from "../../../local/stage.ts";
import { ROOT, startTestStack, type TestStack } from "../../support/stack.ts";

/*
 * Sends many parallel requests of one tenant to two nodes that share only the table. Each request is a
 * transaction that changes the same item. No request may fail because of a conflict, and nothing may be
 * counted twice.
 */

const HOSTS = 200;
const BEYOND = 10;
const CHANGES = 100;
const ISOLATIONS = 40;
const RACING = 20;

let stack: TestStack;
let second: Stage;
let nodes: string[];
let folder: string;
const lines: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "lz-herd-"));
  stack = await startTestStack("bun", { workers: 0 });
  const port = await freePort();
  const shared = {
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    DYNAMODB_ENDPOINT: stack.dynamodbEndpoint,
    SQS_QUEUE_URL: stack.queueUrl,
  };
  const env = edgeEnvironment(stack.secrets, stack.issuer, stack.edgeUrl, shared);
  const { isReady, ...how } = await edgeCommand("bun", ROOT, env, port, folder);
  const onLine = (_stage: string, line: string) => void lines.push(line);
  second = await startStage({ name: "second-edge", ...how, cwd: ROOT, onLine, isReady });
  nodes = [stack.edgeUrl, `http://127.0.0.1:${port}`];
}, 60_000);
afterAll(async () => {
  await second?.stop();
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const errorLines = () => [...stack.lines, ...lines].filter((line) => line.includes('"level":"error"'));
const assetCount = async (): Promise<number> => {
  const { items } = (await (await stack.api("/v1/employees?limit=200")).json()) as {
    items: { employeeId: string }[];
  };
  let count = 0;
  for (const { employeeId } of items) {
    const page = await stack.api(`/v1/employees/${employeeId}/assets?limit=200`);
    count += ((await page.json()) as { items: unknown[] }).items.length;
  }
  return count;
};

test("200 hosts with one token become exactly 200 assets, further hosts get 409, and no node fails", async () => {
  const token = await stack.enrolmentToken(HOSTS);
  const answers = await enrolHerd(nodes, token, HOSTS + BEYOND);
  expect(answers).toEqual({ "201": HOSTS, "409 enrolment.used-up": BEYOND });
  expect(await assetCount()).toBe(HOSTS);
  expect(errorLines()).toEqual([]);
}, 120_000);

test("100 different changes on two nodes all succeed and form one custody log without gaps", async () => {
  const assetIds = await enrolAssets(nodes[1]!, await stack.enrolmentToken(ISOLATIONS), ISOLATIONS);
  const herd = { nodes, adminToken: stack.adminToken, assetIds };
  const before = await verifyLog(nodes[0]!, stack.adminToken);
  const answers = await changeHerd(herd, CHANGES);
  expect(answers).toEqual({ "201": CHANGES - ISOLATIONS, "202": ISOLATIONS });
  const after = await verifyLog(nodes[0]!, stack.adminToken);
  expect(after.fault).toBeUndefined();
  expect(after.records - before.records).toBe(CHANGES);
  expect(after.count).toBe(after.records);
  expect(errorLines()).toEqual([]);
}, 120_000);

test("if 20 requests replace the same policy version in parallel, one succeeds and the others get a version conflict", async () => {
  const herd = { nodes, adminToken: stack.adminToken, assetIds: [] };
  const before = await verifyLog(nodes[0]!, stack.adminToken);
  expect(await policyHerd(herd, RACING)).toEqual({ "200": 1, "412 admin.outdated": RACING - 1 });
  const after = await verifyLog(nodes[1]!, stack.adminToken);
  expect([after.fault, after.records - before.records]).toEqual([undefined, 1]);
  expect(errorLines()).toEqual([]);
}, 60_000);

test("one node runs enrolments and changes of a tenant one after the other, without conflicts", async () => {
  const conflicts = () => [...stack.lines, ...lines].filter((line) => line.includes('"conflicts":')).length;
  const before = conflicts();
  const one = nodes.slice(0, 1);
  expect(await enrolHerd(one, await stack.enrolmentToken(50), 50)).toEqual({ "201": 50 });
  const answers = await changeHerd({ nodes: one, adminToken: stack.adminToken, assetIds: [] }, 50);
  expect(answers).toEqual({ "201": 50 });
  expect(conflicts() - before).toBe(0);
}, 60_000);
