import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importJWK } from "jose";
import { edgeCommand, type RuntimeName } from "../../../local/edge-command.ts";
import { freePort } from "../../../local/free-port.ts";
import { edgeEnvironment, startWorker } from "../../../local/stack.ts";
import { type Stage, startStage } from "../../../local/stage.ts";
import {
  enrolDevice,
  makeDevice,
  makeHeartbeat,
  openSession,
  sessionSigner,
} from "../../../lz/platform/simulated-agents.ts";
import { newControlKey, publicHalf } from "../../../shared/key-generation.ts";
import { REASONS } from "../../../shared/queue/message.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { signDirective } from "../../../shared/wire/directive.ts";
import { type Signer, signRequest } from "../../../shared/wire/signature.ts";
import { type Fleet, type SteadyAgent, startFleet } from "../../support/agent/simulated-agents.ts";
import { type Balancer, startBalancer } from "../../support/nodes/balancer.ts";
import { sendRaw, signedPack, takeDeadLetters } from "../../support/nodes/signed-pack.ts";
import { eventually, ROOT, startTestStack, type TestStack } from "../../support/stack.ts";

/*
 * Follows docs/rotation.md step by step with real processes while hosts send heartbeats. The processes are
 * two edge nodes behind a load balancer, a worker, and `lz rotate`. Only the first node serves admins and has
 * the private control key.
 */

const AGENTS = 24;
const INTERVAL_MS = 500;
/**
 * Visibility timeout of the queue in seconds. After this time, a message that no worker has deleted becomes
 * visible again. A message signed with an unknown key becomes a dead letter after three receives.
 */
const VISIBILITY_SECONDS = 4;
const DRAIN_SECONDS = 1;

type Lines = Record<string, string>;
type Key = "edge" | "queue" | "control";
type Step = "add" | "promote" | "drop";
type Node = {
  name: string;
  runtime: RuntimeName;
  port: number;
  url: string;
  isAdmins: boolean;
  stage?: Stage;
};

/** Lines of `secrets.env` for each kind of node, as in the table at the top of docs/rotation.md. */
const OF_EDGES = [
  "LZ_EDGE_SECRETS",
  "LZ_QUEUE_KEYS",
  "LZ_CONTROL_JWKS",
  "LZ_CONTROL_KEY_SET",
  // Both edge nodes enrol hosts. The first signs with the control key, and the second with the enrol key.
  "LZ_ENROL_KEY",
  "LZ_ENROL_JWKS",
];
const OF_ADMINS = [...OF_EDGES, "LZ_CONTROL_KEY"];
const OF_WORKERS = ["LZ_QUEUE_KEYS", "LZ_CONTROL_JWKS", "LZ_ENROL_JWKS"];

const parseLines = (text: string): Lines =>
  Object.fromEntries(text.split("\n").flatMap((line) => (line.includes("=") ? [split(line)] : [])));
const split = (line: string): [string, string] => {
  const at = line.indexOf("=");
  return [line.slice(0, at), line.slice(at + 1)];
};

describe("a key rotation while hosts report", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-rotation-"));
  const secretsFile = join(folder, "secrets.env");
  let stack: TestStack;
  let nodes: [Node, Node];
  let worker: Stage;
  let balancer: Balancer;
  let fleet: Fleet;
  /** Settings of nodes and workers other than keys. */
  let plainEnv: Lines;
  let workerEnv: Lines;
  const codes: [string, number][] = [];

  const readSecrets = () => parseLines(readFileSync(secretsFile, "utf8"));
  const writeSecrets = (lines: Lines) =>
    writeFileSync(
      secretsFile,
      Object.entries(lines)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(""),
      { mode: 0o600 },
    );

  /** Runs an `lz` command as written in docs/rotation.md. Returns its output. */
  async function lz(...words: string[]): Promise<string> {
    const env = { ...process.env, AWS_REGION: "us-east-1", DYNAMODB_ENDPOINT: stack.dynamodbEndpoint };
    const command = [process.execPath, "run", "lz", ...words, "--env", secretsFile];
    const child = Bun.spawn(command, { cwd: ROOT, env, stdout: "pipe", stderr: "pipe" });
    const [said, complained] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`lz ${words.join(" ")}: ${complained}`);
    return said;
  }

  /** Runs one step of a rotation. Replaces lines of `secrets.env` with the lines that the command prints. */
  async function rotate(key: Key, step: Step): Promise<Lines> {
    const changed = parseLines(await lz("rotate", key, step));
    writeSecrets({ ...readSecrets(), ...changed });
    return changed;
  }

  const keysOf = (names: readonly string[]): Lines => {
    const all = readSecrets();
    return Object.fromEntries(names.flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  };

  async function startNode(node: Node): Promise<void> {
    const env = { ...plainEnv, ...keysOf(node.isAdmins ? OF_ADMINS : OF_EDGES) };
    const how = await edgeCommand(node.runtime, ROOT, env, node.port, join(folder, node.name));
    const onLine = (name: string, line: string) => void stack.lines.push(`${name} ${line}`);
    node.stage = await startStage({ name: node.name, cwd: ROOT, onLine, ...how });
    stack.add(node.stage);
  }

  /** Stops a process gracefully, as an operator does. Kills the process if it has not ended after 30 seconds. */
  async function end(name: string, stage: Stage): Promise<void> {
    await stage.stop(30_000);
    codes.push([name, await stage.exited]);
  }

  async function rollOutToEdges(): Promise<void> {
    for (const node of nodes) {
      await end(node.name, node.stage!);
      await startNode(node);
      await balancer.untilIn(node.url);
    }
  }

  async function rollOutToWorkers(): Promise<void> {
    await end("worker", worker);
    worker = await startWorker(
      { root: ROOT, onLine: (name, line) => void stack.lines.push(`${name} ${line}`) },
      { ...workerEnv, ...keysOf(OF_WORKERS) },
    );
    stack.add(worker);
  }

  beforeAll(async () => {
    const enrol = await newControlKey("enrol-1");
    const publicKeys = { LZ_ENROL_JWKS: JSON.stringify({ keys: [publicHalf(enrol)] }) };
    const edgeKeys = { LZ_ENROL_KEY: JSON.stringify(enrol) };
    stack = await startTestStack("bun", {
      workers: 0,
      visibilitySeconds: VISIBILITY_SECONDS,
      environment: { LZ_DRAIN_SECONDS: String(DRAIN_SECONDS), ...publicKeys },
      edgeEnvironment: edgeKeys,
    });
    const { LZ_QUEUE_KEYS: _queue, SQS_DLQ_URL: _dead, SQS_ENDPOINT: _sqs, ...shared } = stack.workerEnv;
    const whole: Lines = {
      ...edgeEnvironment(stack.secrets, stack.issuer, stack.edgeUrl, shared),
      ...edgeKeys,
    };
    writeSecrets(Object.fromEntries(OF_ADMINS.flatMap((name) => (whole[name] ? [[name, whole[name]]] : []))));
    plainEnv = Object.fromEntries(Object.entries(whole).filter(([name]) => !OF_ADMINS.includes(name)));
    workerEnv = stack.workerEnv;
    const port = await freePort();
    nodes = [
      {
        name: "edge-admins",
        runtime: "bun",
        port: Number(new URL(stack.edgeUrl).port),
        url: stack.edgeUrl,
        isAdmins: true,
        stage: stack.stages.get("edge")!,
      },
      { name: "edge-deno", runtime: "deno", port, url: `http://127.0.0.1:${port}`, isAdmins: false },
    ];
    [worker] = await Promise.all([
      startWorker(
        { root: ROOT, onLine: (name, line) => void stack.lines.push(`${name} ${line}`) },
        { ...workerEnv, ...keysOf(OF_WORKERS) },
      ),
      startNode(nodes[1]),
    ]);
    stack.add(worker);
    balancer = startBalancer(nodes.map(({ url }) => url));
    await Promise.all(nodes.map(({ url }) => balancer.untilIn(url)));
    fleet = await startFleet({
      count: AGENTS,
      folder,
      edgeUrl: stack.edgeUrl,
      token: await stack.enrolmentToken(AGENTS),
      intervalMs: INTERVAL_MS,
      fetch: balancer.fetch,
    });
  }, 60_000);

  afterAll(async () => {
    await fleet?.stop().catch(() => {});
    await balancer?.stop();
    await stack?.stop();
    rmSync(folder, { recursive: true });
  }, 60_000);

  /** Returns the response of each node to a heartbeat of this session. */
  const askEach = async (signer: Signer): Promise<string[]> =>
    Promise.all(
      nodes.map(async ({ url }) => {
        const body = new TextEncoder().encode(JSON.stringify(makeHeartbeat(1, Date.now(), "probe")));
        const path = "/v1/heartbeats";
        const headers = await signRequest(
          signer,
          { method: "POST", path, body },
          Math.floor(Date.now() / 1000),
        );
        const answer = await fetch(url + path, {
          method: "POST",
          body,
          headers: { ...headers, "content-type": "application/json" },
        });
        const { code } = (await answer.json()) as { code?: string };
        return code === undefined ? String(answer.status) : `${answer.status} ${code}`;
      }),
    );

  const enrolWith = async (token: string) => {
    const device = await makeDevice();
    const host = { hostname: "probe", employeeId: "dana" };
    const who = await enrolDevice(fetch, stack.edgeUrl, token, device, host);
    return async () => sessionSigner(await openSession(fetch, stack.edgeUrl, device, who));
  };

  const isolate = async ({ assetId }: SteadyAgent) => {
    const init = { method: "POST", body: { justification: "rotation" }, key: crypto.randomUUID() };
    expect((await stack.api(`/v1/assets/${assetId}/isolate`, init)).status).toBe(202);
  };
  const isObeyed = async ({ assetId, directives }: SteadyAgent, generation: number) => {
    await eventually(async () => {
      const answer = await stack.api(`/v1/assets/${assetId}`);
      if (!answer.ok) return false;
      const { containment } = (await answer.json()) as { containment: { state: string } };
      return directives.report().generation === generation && containment.state === "acknowledged";
    }, 20_000);
    expect(directives.report()).toMatchObject({ generation, action: "isolate", outcome: "applied" });
  };

  /** Returns the number of heartbeats of an asset that were acknowledged but are not in the table yet. */
  const missing = async ({ assetId, taken }: Pick<SteadyAgent, "assetId" | "taken">) => {
    const left = new Set(taken);
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const answer = await stack.api(
        `/v1/assets/${assetId}/timeline?limit=100${cursor && `&cursor=${cursor}`}`,
      );
      const page = (await answer.json()) as { items: { sequence: number }[]; cursor?: string };
      for (const { sequence } of page.items) left.delete(sequence);
      cursor = page.cursor;
    }
    return left.size;
  };

  test("the edge secret: sessions of the old secret are accepted until it is dropped, and rejected afterwards", async () => {
    const open = await enrolWith(await stack.enrolmentToken());
    const old = await open();
    await rotate("edge", "add");
    await rollOutToEdges();
    expect(await askEach(old)).toEqual(["202", "202"]);
    await rotate("edge", "promote");
    await rollOutToEdges();
    const fresh = await open();
    expect(await askEach(old)).toEqual(["202", "202"]);
    expect(await askEach(fresh)).toEqual(["202", "202"]);
    await fleet.renewAll(); // Simulates one hour: every session expires and is renewed.
    await rotate("edge", "drop");
    await rollOutToEdges();
    expect(await askEach(old)).toEqual(["401 wire.bad-signature", "401 wire.bad-signature"]);
    expect(await askEach(fresh)).toEqual(["202", "202"]);
    expect(fleet.refusals).toEqual([]);
  }, 120_000);

  test("the queue key: messages signed with the old key are recorded until it is dropped", async () => {
    const before = keysOf(OF_WORKERS).LZ_QUEUE_KEYS!;
    await rotate("queue", "add");
    await rollOutToWorkers();
    await rollOutToEdges();
    await rotate("queue", "promote");
    await rollOutToEdges();
    expect(keysOf(OF_WORKERS).LZ_QUEUE_KEYS).toEndWith(before);
    // The queue is never empty, because the hosts keep reporting. So the test waits until every message
    // signed with the old key is recorded.
    const ofOldKey = fleet.agents.map(({ assetId, taken }) => ({ assetId, taken: new Set(taken) }));
    for (const agent of ofOldKey) await eventually(async () => (await missing(agent)) === 0, 20_000);
    await rotate("queue", "drop");
    await rollOutToWorkers();
    await rollOutToEdges();
    expect(await takeDeadLetters(stack)).toEqual([]);
    // An attacker sends a message signed with the old key. `stack.secrets` contains the secrets from the
    // start of the test.
    const [agent] = fleet.agents;
    const body = JSON.stringify(makeHeartbeat(1, Date.now(), "forged"));
    const entry = { assetId: agent!.assetId, receivedAt: timestamp(Date.now()), body };
    await sendRaw(stack, await signedPack(stack, agent!.tenantId, [entry]));
    expect(fleet.refusals).toEqual([]);
  }, 120_000);

  test("the control key: agents apply directives of the old key, then of the new key, and no longer those of the old key", async () => {
    const [first, second] = fleet.agents as [SteadyAgent, SteadyAgent];
    const old = JSON.parse(readSecrets().LZ_CONTROL_KEY!) as { kid: string };
    await isolate(first);
    await isObeyed(first, 1);
    const unused = await stack.enrolmentToken();
    await rotate("control", "add");
    await rollOutToWorkers();
    await rollOutToEdges();
    await fleet.renewAll(); // Every agent opens a new session. The response contains the new key set.
    for (const agent of fleet.agents) await eventually(async () => agent.pinned().length === 2);
    await rotate("control", "promote");
    await rollOutToEdges();
    await isolate(second);
    await isObeyed(second, 1);
    // Items signed with the old key are valid only until that key is dropped, so they are signed again.
    expect(await lz("table", "sign", first.tenantId, "--write")).toMatch(/[1-9]\d* items? signed/);
    expect(await lz("table", "sign", first.tenantId)).toContain("0 items to sign");
    await rotate("control", "drop");
    await rollOutToWorkers();
    await rollOutToEdges();
    await fleet.renewAll();
    for (const agent of fleet.agents) await eventually(async () => agent.pinned().length === 1);
    expect(new Set(fleet.agents.flatMap((agent) => agent.pinned()))).toEqual(new Set(["control-2"]));
    await expect(enrolWith(unused)).rejects.toThrow("enrolment.invalid-token");
    await enrolWith(await stack.enrolmentToken());
    // An attacker signs a directive with the old key.
    const key = { kid: old.kid, key: (await importJWK(old, "EdDSA")) as CryptoKey };
    const nowSeconds = Math.floor(Date.now() / 1000);
    const forged = await signDirective(key, {
      tenant: first.tenantId,
      asset: first.assetId,
      generation: 2,
      action: "release",
      mode: "observe",
      iat: nowSeconds,
      exp: nowSeconds + 3600,
    });
    await first.directives.handle(forged, new AbortController().signal);
    expect(first.directives.report()).toMatchObject({ generation: 1, action: "isolate" });
    expect(first.log.filter((line) => line.includes("directive.refused"))).toHaveLength(1);
    expect(fleet.agents.flatMap(({ log }) => log).filter((line) => line.includes("refused"))).toHaveLength(1);
    expect(fleet.refusals).toEqual([]);
  }, 120_000);

  test("no heartbeat was rejected, each one is in the table, and only the forged message was dead-lettered", async () => {
    await fleet.stop();
    expect(fleet.refusals).toEqual([]);
    for (const agent of fleet.agents) {
      await eventually(async () => (await missing(agent)) === 0, 30_000);
      expect(agent.taken.size).toBeGreaterThan(20);
    }
    const letters = await eventually(async () => {
      const found = await takeDeadLetters(stack);
      return found.length > 0 && found;
    }, 30_000);
    expect(letters.map(({ reason }) => reason)).toEqual([REASONS.unknownKey]);
    expect(codes).not.toBeEmpty();
    expect(codes.filter(([, code]) => code !== 0)).toEqual([]);
    const errors = stack.lines.filter((line) => line.includes('"level":"error"'));
    expect(errors.filter((line) => !line.includes(REASONS.unknownKey))).toEqual([]);
    for (const [node, count] of balancer.answered) expect([node, count > 100]).toEqual([node, true]);
  }, 120_000);
});
