import { mkdtempSync, rmSync } from "node:fs";
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
} from "../../lz/fleet.ts";
import type { Heartbeat } from "../../shared/wire/heartbeat.ts";
import type { Signer } from "../../shared/wire/signature.ts";

export const ROOT = resolve(import.meta.dir, "../..");

export type TestStack = Stack & {
  /** What the stages printed, newest last. */
  lines: string[];
  /** Calls the admin API as the tenant's administrator, or with another token. */
  api(
    path: string,
    init?: { method?: string; body?: unknown; token?: string; key?: string; match?: string },
  ): Promise<Response>;
  enrolmentToken(uses?: number, token?: string): Promise<string>;
};

/** The real stack on free ports in a folder of its own. `stop()` removes that too. */
export async function startTestStack(
  runtime: RuntimeName,
  more: Partial<
    Pick<
      StackOptions,
      "workers" | "visibilitySeconds" | "environment" | "edgeEnvironment" | "dynamodbEndpoint"
    >
  > = {},
): Promise<TestStack> {
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
  });
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
    lines,
    api,
    async enrolmentToken(uses = 1, token = stack.adminToken) {
      const key = crypto.randomUUID();
      const answer = await api("/v1/enrolment-tokens", { method: "POST", body: { uses }, token, key });
      return ((await answer.json()) as { token: string }).token;
    },
    async stop() {
      await stack.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export type SimulatedAsset = {
  device: Device;
  assetId: string;
  tenantId: string;
  signer: Signer;
  /** Sends one heartbeat with the next sequence number; its containment report is signed unless it comes signed. */
  beat(more?: Partial<Heartbeat>): Promise<Response>;
};

/** An enrolled asset with a session. */
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

/** Polls until `check` gives something, or throws after `ms`. */
export async function eventually<T>(check: () => Promise<T | undefined | false>, ms = 10_000): Promise<T> {
  const end = Date.now() + ms;
  while (true) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`did not become true within ${ms} ms`);
    await Bun.sleep(50);
  }
}
