import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { RuntimeName } from "../../local/edge-command.ts";
import { freePort } from "../../local/free-port.ts";
import { type Stack, type StackOptions, startStack } from "../../local/stack.ts";
import {
  type Device,
  enrolDevice,
  makeDevice,
  makeHeartbeat,
  openSession,
  sessionSigner,
  signedRequest,
} from "../../lz/platform/simulated-agents.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import type { Signer } from "../../shared/wire/signature.ts";
import { type Split, splitRoles } from "./nodes/role-stack.ts";

export const ROOT = resolve(import.meta.dir, "../..");

export type TestStack = Stack & {
  /** Output lines of the stages, newest last. */
  lines: string[];
  /** Calls the admin API with the token of the tenant's administrator, or with another token. */
  api(
    path: string,
    init?: { method?: string; body?: unknown; token?: string; key?: string; match?: string },
  ): Promise<Response>;
  enrolmentToken(uses?: number, token?: string): Promise<string>;
};

type More = Partial<
  Pick<StackOptions, "workers" | "visibilitySeconds" | "environment" | "edgeEnvironment" | "dynamodbEndpoint">
>;

/** Starts the real stack on free ports in its own directory. `stop()` also removes the directory. */
export async function startTestStack(runtime: RuntimeName, more: More = {}): Promise<TestStack> {
  const folder = mkdtempSync(join(tmpdir(), "lz-test-"));
  const lines: string[] = [];
  const port = await freePort();
  const stack = await startStack({
    root: ROOT,
    folder,
    port,
    runtime,
    onLine: (stage, line) => lines.push(`${stage} ${line}`),
    onStep: () => {},
    ...more,
    ...(SPLIT_FOLDER !== undefined && { workers: 0 }),
  });
  const split = SPLIT_FOLDER === undefined ? undefined : await splitInto(stack, folder, runtime, lines, more);
  const api: TestStack["api"] = (path, { method = "GET", body, token = stack.adminToken, key, match } = {}) =>
    fetch(`${stack.edgeUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(key !== undefined && { "idempotency-key": key }),
        ...(match !== undefined && { "if-match": match }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  return {
    ...stack,
    ...(split && { workerEnv: split.environments.worker }),
    lines,
    api,
    async enrolmentToken(uses = 1, token = stack.adminToken) {
      const key = crypto.randomUUID();
      const answer = await api("/v1/enrolment-tokens", { method: "POST", body: { uses }, token, key });
      return ((await answer.json()) as { token: string }).token;
    },
    async stop() {
      await (split ?? stack).stop();
      if (split) writeCalls(split);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Environment variable set by tests/connected/roles/iam-replay.alone.test.ts. If it is set, every stack runs
 * one node of each kind with a separate policy. The stack records the AWS calls of the nodes in this
 * directory.
 */
export const SPLIT_FOLDER_VARIABLE = "LZ_TEST_SPLIT_ROLES";
const SPLIT_FOLDER = process.env[SPLIT_FOLDER_VARIABLE];

const splitInto = (
  stack: Stack,
  folder: string,
  runtime: RuntimeName,
  lines: string[],
  { workers = 1, environment = {}, edgeEnvironment = {} }: More,
): Promise<Split> =>
  splitRoles(stack, {
    ...{ root: ROOT, folder, runtime, workers, environment, edgeEnvironment },
    onLine: (stage, line) => lines.push(`${stage} ${line}`),
  });

function writeCalls({ guard }: Split): void {
  writeFileSync(join(SPLIT_FOLDER!, `${crypto.randomUUID()}.json`), JSON.stringify(guard.recorded()));
}

export type SimulatedAsset = {
  device: Device;
  assetId: string;
  tenantId: string;
  signer: Signer;
  /**
   * Sends one heartbeat with the next sequence number. Signs the containment report in the heartbeat unless
   * the report is already signed.
   */
  beat(more?: Partial<Heartbeat>): Promise<Response>;
};

/** Enrols an asset and opens a session for that asset. */
export async function enrolAsset(
  stack: TestStack,
  hostname: string,
  token?: string,
): Promise<SimulatedAsset> {
  const device = await makeDevice();
  const enrolment = await stack.enrolmentToken(1, token);
  const who = await enrolDevice(fetch, stack.edgeUrl, enrolment, device, { hostname, employeeId: "dana" });
  const signer = await sessionSigner(await openSession(fetch, stack.edgeUrl, device, who));
  let sequence = 0;
  return {
    device,
    ...who,
    signer,
    async beat(more = {}) {
      const { containment } = more;
      const signed = containment &&
        !containment.signature && { containment: await device.sign(who, containment) };
      const body = JSON.stringify(makeHeartbeat(++sequence, Date.now(), hostname, { ...more, ...signed }));
      return fetch(await signedRequest(stack.edgeUrl, "/v1/heartbeats", body, signer));
    },
  };
}

/** Polls until `check` returns a truthy value. Throws after `ms` milliseconds. */
export async function eventually<T>(check: () => Promise<T | undefined | false>, ms = 10_000): Promise<T> {
  const end = Date.now() + ms;
  while (true) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not become true within ${ms} ms`);
    await Bun.sleep(50);
  }
}
