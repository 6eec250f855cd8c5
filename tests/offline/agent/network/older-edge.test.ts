import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { deviceSigner, openDeviceKey } from "../../../../agent/identity/device-identity.ts";
import { enrol } from "../../../../agent/identity/enrol.ts";
import { createSession } from "../../../../agent/identity/session.ts";
import { createPost, type Post } from "../../../../agent/network/control-plane-client.ts";
import {
  createCompatiblePost,
  olderEdgeLog,
  withoutNewerMembers,
} from "../../../../agent/network/older-edge.ts";
import type { Log } from "../../../../agent/platform/log.ts";
import { createSender, type Sender } from "../../../../agent/report/heartbeat-sender.ts";
import { openSpool, type Spool } from "../../../../agent/report/spool.ts";
import { sleep } from "../../../../shared/time/sleep.ts";
import { enrolmentRequest, sessionRequest } from "../../../../shared/wire/enrolment.ts";
import type { Hardware } from "../../../../shared/wire/hardware.ts";
import { engine, heartbeat } from "../../../../shared/wire/heartbeat.ts";
import { controlClock } from "../../../support/agent/control-clock.ts";
import {
  ASSET,
  problem,
  removeTemporaryDirectories,
  startEdge,
  TENANT,
  type TestEdge,
  TOKEN,
  temporaryDirectory,
  until,
} from "../report/send-edge.ts";

const RUN = "AAAAAAAAAAAAAAAAAAAAAA";
const HARDWARE: Hardware = { id: "A".repeat(43), strength: "board" };
const OLDER = "edge.outdated";
const NEVER_TAKEN = "heartbeat.rejected";
const REQUEST = {
  token: TOKEN,
  employeeId: "ada",
  host: { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" },
  hardware: HARDWARE,
};

let edge: TestEdge;
let stopper: AbortController;
let running: Promise<void> | undefined;
let sender: Sender;
let spool: Spool;
let lines: string[];
/** Bodies and paths of the requests that were sent. */
let sent: { path: string; body: Record<string, unknown> }[];

const log: Log = (level, event, { leftOut } = {}) =>
  void lines.push(`${level}: ${event}${leftOut === undefined ? "" : ` (${leftOut})`}`);

function beat(sequence: number, more: object = {}) {
  const sentAt = "2026-11-21T00:00:00.000Z";
  const body = JSON.stringify({
    v: 1,
    sequence,
    sentAt,
    stateSince: sentAt,
    agent: { version: "0.1.0", catalogue: "1", intervalMs: 1000, run: RUN },
    host: { hostname: "h", os: "Linux", arch: "x64" },
    engines: [],
    collectors: [],
    containment: { generation: 0, action: "none", mode: "observe", outcome: "none", at: sentAt },
    spool: { waiting: 0, dropped: 0 },
    ...more,
  });
  return { sequence, body };
}
const sequences = (): number[] => edge.taken.map(({ sequence }) => sequence);
const runs = (): unknown[] => edge.taken.map(({ agent }) => agent.run);
/** For each heartbeat that was sent: true if the heartbeat contained `agent.run`. */
const heldRun = (): boolean[] =>
  sent
    .filter(({ path }) => path === "/v1/heartbeats")
    .map(({ body }) => "run" in (body.agent as Record<string, unknown>));
const heldHardware = (path: string): boolean[] =>
  sent.filter((request) => request.path === path).map(({ body }) => "hardware" in body);

function compatiblePost(): Post {
  const recording = (url: string, init: RequestInit): Promise<Response> => {
    const body = JSON.parse(new TextDecoder().decode(init.body as Uint8Array));
    sent.push({ path: new URL(url).pathname, body });
    return fetch(url, init);
  };
  return createCompatiblePost(
    createPost({ edgeUrl: edge.url, fetch: recording, clock: controlClock(Date.now), wallClock: Date.now }),
    olderEdgeLog(log),
  );
}

async function start(): Promise<void> {
  const directory = temporaryDirectory();
  const device = await openDeviceKey(directory, process.platform);
  const post = compatiblePost();
  const { signal } = new AbortController();
  const enrolled = await enrol(
    { post, random: () => 0, sleep: () => sleep(5), log },
    device,
    REQUEST,
    signal,
  );
  if (!enrolled.ok) throw new Error(enrolled.reason);
  spool = openSpool(directory, { log });
  const session = createSession({
    post,
    device: deviceSigner(device, { tenantId: TENANT, assetId: ASSET }),
    hardware: HARDWARE,
    onSettings: () => {},
  });
  sender = createSender({
    post,
    session,
    spool,
    random: () => 0,
    sleep: (ms, stopping) => sleep(Math.min(ms, 20), stopping),
    log,
    onAnswer: () => {},
    onConnection: () => {},
  });
  stopper = new AbortController();
  running = sender.run(stopper.signal);
}

beforeEach(async () => {
  edge = await startEdge();
  edge.isOlder = true;
  lines = [];
  sent = [];
});
afterEach(async () => {
  stopper?.abort();
  await running;
  await edge.stop();
  removeTemporaryDirectories();
});

describe("withoutNewerMembers()", () => {
  test.each([
    [
      "heartbeat",
      { v: 1, agent: { version: "1", run: RUN } },
      { v: 1, agent: { version: "1" } },
      ["agent.run"],
    ],
    ["session", { agentVersion: "1", hardware: HARDWARE }, { agentVersion: "1" }, ["hardware"]],
    ["enrolment", { token: "t", hardware: HARDWARE }, { token: "t" }, ["hardware"]],
  ] as const)("keeps all other members of the message %s", (message, whole, left, members) => {
    expect(withoutNewerMembers(message, JSON.stringify(whole))).toEqual({
      body: JSON.stringify(left),
      members: [...members],
    });
  });

  test.each([
    ["heartbeat", '{"agent":{"version":"1"}}'],
    ["heartbeat", '{"agent":["run"]}'],
    ["heartbeat", '{"agent":null,"hardware":{}}'],
    ["heartbeat", "no JSON"],
    ["heartbeat", "null"],
    ["session", '{"agentVersion":"1"}'],
    ["directive", '{"v":1,"hardware":{}}'],
  ] as const)("is undefined for the message %s without newer members: %s", (message, body) => {
    expect(withoutNewerMembers(message, body)).toBeUndefined();
  });
});

test("a request without its newer members has the members of the first protocol version", () => {
  const firstVersion = (message: "enrolment" | "session", { shape }: { shape: object }): string[] => {
    const whole = Object.fromEntries(Object.keys(shape).map((name) => [name, "x"]));
    return Object.keys(JSON.parse(withoutNewerMembers(message, JSON.stringify(whole))!.body)).sort();
  };
  // The expected names are those of the first protocol version. A failure here means that a member is new:
  // add it to NEWER_MEMBERS in agent/network/older-edge.ts. Otherwise hosts that send the member can no
  // longer report to older edges.
  expect(firstVersion("enrolment", enrolmentRequest)).toEqual(["deviceKey", "employeeId", "host", "token"]);
  // NEWER_MEMBERS must not contain `copiedTo`, because a session request with this member reports a copy.
  expect(firstVersion("session", sessionRequest)).toEqual(["agentVersion", "copiedTo"]);
  const agent = Object.fromEntries(Object.keys(heartbeat.shape.agent.shape).map((name) => [name, "x"]));
  const left = JSON.parse(withoutNewerMembers("heartbeat", JSON.stringify({ agent }))!.body);
  expect(Object.keys(left.agent).sort()).toEqual(["catalogue", "intervalMs", "version"]);
  expect(Object.keys(heartbeat.shape).sort()).toEqual(
    "agent collectors containment engines host sentAt sequence spool stateSince stores v".split(" "),
  );
  expect(Object.keys(engine.shape).sort()).toEqual(
    (
      "auth bind clients confidence container evidence executable executableSha256 id kind models name package parents " +
      "pid ports processStartedAt renamed signer user version"
    ).split(" "),
  );
});

describe("with an edge older than the agent", () => {
  test("enrols, opens a session and sends heartbeats without the members that the edge rejects", async () => {
    await start();
    for (const sequence of [1, 2, 3]) sender.offer(beat(sequence));
    await until("all are taken", () => sequences().length === 3);
    expect(sequences()).toEqual([1, 2, 3]);
    expect(runs()).toEqual([undefined, undefined, undefined]);
    expect(spool.dropped()).toBe(0);
    expect(heldHardware("/v1/enroll")).toEqual([true, false]);
    expect(heldHardware("/v1/session")).toEqual([true, false]);
    // Only the first heartbeat of a session is initially sent with all members.
    expect(heldRun()).toEqual([true, false, false, false]);
    expect(lines).toEqual([
      `warn: ${OLDER} (hardware)`,
      `warn: ${OLDER} (hardware)`,
      `warn: ${OLDER} (agent.run)`,
      "info: control-plane.online",
    ]);
  });

  test("loses no heartbeat of the spool, and keeps all members in the spool", async () => {
    await start();
    let isAway = true;
    edge.fault = (path) =>
      isAway && path === "/v1/heartbeats" ? new Response("later", { status: 503 }) : undefined;
    for (const sequence of [1, 2, 3]) sender.offer(beat(sequence));
    await until("all wait", () => spool.waiting() === 3);
    expect(spool.oldest()).toEqual(beat(1));
    isAway = false;
    await until("all are taken", () => sequences().length === 3);
    await until("the spool is empty", () => spool.waiting() === 0);
    expect([sequences(), spool.dropped()]).toEqual([[1, 2, 3], 0]);
  });

  test("keeps a heartbeat whose second attempt gets no response from the edge", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count === 2 ? new Response("later", { status: 503 }) : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(spool.dropped()).toBe(0);
    // The 503 response proves nothing about the edge's version, so the next attempt starts with all members
    // again.
    expect(heldRun()).toEqual([true, false, true, false]);
  });

  test("sends all members again after the next session, and logs the rejected members once", async () => {
    await start();
    sender.offer(beat(1));
    await until("1 is taken", () => sequences().length === 1);
    let isOver = true;
    edge.fault = (path) => {
      if (!isOver || path !== "/v1/heartbeats") return undefined;
      isOver = false;
      return problem("wire.session-expired");
    };
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 2);
    const told = lines.filter((line) => line.includes("agent.run"));
    expect(told).toHaveLength(1);

    edge.isOlder = false;
    sender.offer(beat(3));
    await until("3 is taken", () => sequences().length === 3);
    isOver = true;
    sender.offer(beat(4));
    await until("4 is taken", () => sequences().length === 4);
    expect(runs()).toEqual([undefined, undefined, undefined, RUN]);
    expect(heldHardware("/v1/session")).toEqual([true, false, true, false, true]);
    expect(spool.dropped()).toBe(0);
  });

  test("drops a heartbeat that is rejected even without these members, and logs that", async () => {
    await start();
    sender.offer(beat(1, { nonsense: true }));
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 1);
    await until("the spool is empty", () => spool.waiting() === 0);
    expect([sequences(), spool.dropped()]).toEqual([[2], 1]);
    expect(lines).toContain(`error: ${NEVER_TAKEN}`);
  });
});

describe("with an edge of the same version as the agent", () => {
  beforeEach(() => {
    edge.isOlder = false;
  });

  test("sends all members, and each request once", async () => {
    await start();
    sender.offer(beat(1));
    await until("1 is taken", () => sequences().length === 1);
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 2);
    expect(runs()).toEqual([RUN, RUN]);
    expect(sent.map(({ path }) => path)).toEqual([
      "/v1/enroll",
      "/v1/session",
      "/v1/heartbeats",
      "/v1/heartbeats",
    ]);
    expect(lines).toEqual(["info: control-plane.online"]);
  });

  test("sends a malformed heartbeat twice, and the next heartbeat with all members", async () => {
    await start();
    sender.offer(beat(1, { nonsense: true }));
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 1);
    expect(heldRun()).toEqual([true, false, true]);
    expect([runs(), spool.dropped()]).toEqual([[RUN], 1]);
    expect(lines.filter((line) => line.includes(OLDER))).toEqual([]);
  });

  test("does not treat a 400 response from a proxy as a rejection by the edge", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count === 1 ? new Response("bad request", { status: 400 }) : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(runs()).toEqual([RUN]);
    expect(heldRun()).toEqual([true, true]);
  });
});
