import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { deviceSigner, openDeviceKey } from "../../../../agent/identity/device-identity.ts";
import { enrol } from "../../../../agent/identity/enrol.ts";
import { createSession } from "../../../../agent/identity/session.ts";
import {
  type Answer,
  createPost,
  type Post,
  parseRetryAfter,
} from "../../../../agent/network/control-plane-client.ts";
import { isControlPlaneHealthy } from "../../../../agent/network/control-plane-health.ts";
import { backoffMs } from "../../../../agent/platform/backoff.ts";
import { silent } from "../../../../agent/platform/log.ts";
import { outcomeOf } from "../../../../agent/report/heartbeat-outcome.ts";
import {
  type Connection,
  createSender,
  type Sender,
  STOP_GRACE_MS,
} from "../../../../agent/report/heartbeat-sender.ts";
import { openSpool, type Spool } from "../../../../agent/report/spool.ts";
import { sleep } from "../../../../shared/time/sleep.ts";
import type { HeartbeatAnswer } from "../../../../shared/wire/heartbeat.ts";
import { controlClock } from "../../../support/agent/control-clock.ts";
import { HTML, portalPage } from "../../../support/dynamo/dynamo-responses.ts";
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
} from "./send-edge.ts";

let edge: TestEdge;
let stopper: AbortController;
let running: Promise<void>;
let sender: Sender;
let spool: Spool;
let pauses: number[];
let connections: Connection[];
let answers: HeartbeatAnswer[];

const REQUEST = {
  token: TOKEN,
  employeeId: "ada",
  host: { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" },
};
const never = new AbortController().signal;

function body(sequence: number): string {
  const sentAt = "2026-11-21T00:00:00.000Z";
  return JSON.stringify({
    v: 1,
    sequence,
    sentAt,
    stateSince: sentAt,
    agent: { version: "0.1.0", catalogue: "1", intervalMs: 1000 },
    host: { hostname: "h", os: "Linux", arch: "x64" },
    engines: [],
    collectors: [],
    containment: { generation: 0, action: "none", mode: "observe", outcome: "none", at: sentAt },
    spool: { waiting: 0, dropped: 0 },
  });
}
const beat = (sequence: number) => ({ sequence, body: body(sequence) });
const sequences = (): number[] => edge.taken.map(({ sequence }) => sequence);

/** Starts a sender with short pauses. `pauses` contains the requested lengths in milliseconds. */
async function start(
  options: { clock?: () => number; directory?: string; url?: string } = {},
): Promise<void> {
  const directory = options.directory ?? temporaryDirectory();
  const clock = options.clock ?? Date.now;
  const device = await openDeviceKey(directory, process.platform);
  const post = createPost({
    edgeUrl: options.url ?? edge.url,
    fetch,
    clock: controlClock(clock),
    wallClock: clock,
  });
  const enrolled = await enrol(
    { post, random: () => 0, sleep: () => sleep(5), log: silent },
    device,
    REQUEST,
    never,
  );
  if (!enrolled.ok) throw new Error(enrolled.reason);
  spool = openSpool(directory, { log: silent });
  const session = createSession({
    post,
    device: deviceSigner(device, { tenantId: TENANT, assetId: ASSET }),
    onSettings: () => {},
  });
  sender = createSender({
    post,
    session,
    spool,
    random: () => 0,
    sleep: (ms, signal) => {
      pauses.push(ms);
      // The grace period at the end is the timeout of a request, not a pause. If the grace period were
      // shortened, the test would depend on the load of the machine.
      return sleep(ms === STOP_GRACE_MS ? ms : Math.min(ms, 20), signal);
    },
    log: silent,
    onAnswer: (answer) => answers.push(answer),
    onConnection: (connection) => connections.push(connection),
  });
  stopper = new AbortController();
  running = sender.run(stopper.signal);
}

beforeEach(async () => {
  edge = await startEdge();
  pauses = [];
  connections = [];
  answers = [];
});
afterEach(async () => {
  stopper?.abort();
  await running;
  await edge.stop();
  removeTemporaryDirectories();
});

describe("createSender()", () => {
  test("sends a heartbeat that the edge verifies, and opens only one session", async () => {
    await start();
    sender.offer(beat(1));
    await until("1 is taken", () => sequences().length === 1);
    sender.offer(beat(2));
    // The edge records a heartbeat slightly before the agent receives the response.
    await until("2 is answered", () => answers.length === 2);
    await until("the spool is empty", () => spool.waiting() === 0);
    expect(sequences()).toEqual([1, 2]);
    expect(edge.asked).toEqual(["/v1/enroll", "/v1/session", "/v1/heartbeats", "/v1/heartbeats"]);
    expect(connections).toEqual([{ state: "online" }]);
  });

  test("keeps the order and loses nothing while the edge responds with 503, and uses Retry-After", async () => {
    await start();
    let isAway = true;
    edge.fault = (path) =>
      isAway && path === "/v1/heartbeats"
        ? new Response("later", { status: 503, headers: { "retry-after": "7" } })
        : undefined;
    for (const sequence of [1, 2, 3, 4, 5]) sender.offer(beat(sequence));
    await until("it tried twice", () => edge.asked.filter((path) => path === "/v1/heartbeats").length >= 2);
    expect(sender.isKeepingUp()).toBe(false);
    expect(spool.waiting()).toBe(5);
    isAway = false;
    sender.offer(beat(6));
    await until("all are taken", () => sequences().length === 6);
    expect(sequences()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(pauses[0]).toBeGreaterThanOrEqual(7000);
    expect(pauses.filter((ms) => ms === 100).length).toBeGreaterThanOrEqual(4);
    await until("it keeps up", () => sender.isKeepingUp());
    expect(connections.map(({ state }) => state)).toEqual(["away", "online"]);
  });

  test("waits while the edge is unreachable, and recovers by itself", async () => {
    await start();
    await edge.stop();
    for (const sequence of [1, 2, 3]) sender.offer(beat(sequence));
    await until("it gave up twice", () => pauses.length >= 2);
    expect(spool.waiting()).toBe(3);
    const tries = pauses.length;
    edge = await startEdge(edge);
    await until("all are taken", () => sequences().length === 3);
    expect(sequences()).toEqual([1, 2, 3]);
    expect(connections[0]?.state).toBe("away");
    expect(pauses.slice(0, tries).every((ms) => ms >= 500)).toBe(true);
  });

  test("resends after a lost response with the same sequence number and time, so that the edge can recognise the heartbeat", async () => {
    await start();
    const createdTimes: string[] = [];
    edge.fault = async (path, count) => {
      if (path !== "/v1/heartbeats") return undefined;
      createdTimes.push(String(count));
      // The edge accepts the heartbeat, but an intermediary returns an error response.
      return count === 1 ? new Response("bad gateway", { status: 502 }) : undefined;
    };
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(createdTimes).toEqual(["1", "2"]);
    expect(edge.taken[0]?.sentAt).toBe("2026-11-21T00:00:00.000Z");
    await until("the spool is empty", () => spool.waiting() === 0);
  });

  test("renews an expired session and resends the heartbeat without a pause", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count === 1 ? problem("wire.session-expired") : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(edge.asked).toEqual([
      "/v1/enroll",
      "/v1/session",
      "/v1/heartbeats",
      "/v1/session",
      "/v1/heartbeats",
    ]);
    expect(pauses).toEqual([]);
  });

  test("renews a session after 80% of its lifetime, before it expires", async () => {
    let aheadMs = 0;
    await start({ clock: () => Date.now() + aheadMs });
    edge.sessionSeconds = 100;
    sender.offer(beat(1));
    await until("1 is taken", () => sequences().length === 1);
    aheadMs = 78_000;
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 2);
    expect(edge.asked.filter((path) => path === "/v1/session")).toHaveLength(1);
    aheadMs = 82_000;
    sender.offer(beat(3));
    await until("3 is taken", () => sequences().length === 3);
    expect(edge.asked.filter((path) => path === "/v1/session")).toHaveLength(2);
  });

  test("backs off if the session is never accepted, without a tight loop", async () => {
    await start();
    edge.fault = (path) => (path === "/v1/heartbeats" ? problem("wire.bad-signature") : undefined);
    sender.offer(beat(1));
    await until("it paused", () => pauses.length >= 1);
    expect(edge.asked.filter((path) => path === "/v1/heartbeats").length).toBeLessThanOrEqual(
      3 * pauses.length,
    );
    expect(spool.waiting()).toBe(1);
  });

  test.each([
    [600_000, "time"],
    [-600_000, "time"],
    [600_000, "date"],
    [-600_000, "date"],
    [-Date.UTC(2026, 0), "time"],
  ] as const)(
    "corrects a clock that is %d ms off with the %s of the edge's response, and the heartbeat is accepted",
    async (offMs, tells) => {
      edge.tellsTime = tells;
      await start({ clock: () => Date.now() + offMs });
      sender.offer(beat(1));
      await until("it is taken", () => sequences().length === 1);
      // The enrolment corrected the clock. The session and heartbeat requests used the corrected clock.
      // Requests to other paths are ignored, because other agents can scan this host.
      const ours = edge.asked.filter((path) => /^\/v1\/(enroll|session|heartbeats)$/.test(path));
      expect(ours).toEqual(["/v1/enroll", "/v1/enroll", "/v1/session", "/v1/heartbeats"]);
    },
  );

  test("drops a heartbeat that the edge rejects as malformed, counts it, and continues with the next", async () => {
    await start();
    sender.offer({ sequence: 1, body: JSON.stringify({ sequence: 1, nonsense: true }) });
    sender.offer(beat(2));
    await until("2 is taken", () => sequences().length === 1);
    expect(sequences()).toEqual([2]);
    await until("the spool is empty", () => spool.waiting() === 0);
    expect(spool.dropped()).toBe(1);
  });

  test("keeps a heartbeat that another server rejected", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count <= 2
        ? new Response("<h1>Please sign in</h1>", { status: count === 1 ? 400 : 403 })
        : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(spool.dropped()).toBe(0);
  });

  test("does not follow a redirect with a signed request", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count === 1 ? Response.redirect(`${edge.url}/elsewhere`, 307) : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(edge.asked).not.toContain("/elsewhere");
  });

  test("stops if the asset is revoked, retries every five minutes, and recovers", async () => {
    await start();
    let isRevoked = true;
    edge.fault = (path) => (isRevoked && path === "/v1/heartbeats" ? problem("asset.revoked") : undefined);
    sender.offer(beat(1));
    await until("it says so", () => sender.isRevoked());
    expect(connections.at(-1)?.state).toBe("revoked");
    expect(pauses[0]).toBe(300_000);
    isRevoked = false;
    await until("it is taken", () => sequences().length === 1);
    await until("it says so too", () => !sender.isRevoked());
  });

  test("treats a revocation in the session response as a revocation too", async () => {
    await start();
    edge.fault = (path) => (path === "/v1/session" ? problem("asset.revoked") : undefined);
    sender.offer(beat(1));
    await until("it says so", () => sender.isRevoked());
  });

  test("aborts an endless response before it fills the memory", async () => {
    await start();
    edge.fault = (path, count) =>
      path === "/v1/heartbeats" && count === 1
        ? new Response("x".repeat(1_000_000), { status: 202 })
        : undefined;
    sender.offer(beat(1));
    await until("it is taken", () => sequences().length === 1);
    expect(connections[0]?.state).toBe("away");
  });

  test("run() ends within the grace period if the edge hangs, and spools the unsent heartbeat", async () => {
    await start();
    edge.fault = async (path) => {
      if (path !== "/v1/heartbeats") return undefined;
      await Bun.sleep(30_000); // The edge does not respond in time.
      return undefined;
    };
    sender.offer(beat(1));
    sender.offer(beat(2));
    await until("it hangs", () => edge.asked.includes("/v1/heartbeats"));
    const startedAtMs = Date.now();
    stopper.abort();
    await running;
    expect(Date.now() - startedAtMs).toBeLessThan(3000);
    expect(spool.oldest()?.sequence).toBe(1);
    expect(spool.waiting()).toBe(2);
  });

  test("run() lets a request in flight finish during the shutdown", async () => {
    await start();
    edge.fault = async (path) => {
      if (path === "/v1/heartbeats") await Bun.sleep(15); // Simulated latency of the edge.
      return undefined;
    };
    sender.offer(beat(1));
    await until("it is under way", () => edge.asked.includes("/v1/heartbeats"));
    stopper.abort();
    await running;
    expect(sequences()).toEqual([1]);
    expect(spool.waiting()).toBe(0);
  });
});

describe("a captive portal that responds instead of the edge", () => {
  test.each([200, 201, 202])(
    "with status %d and its page, no heartbeat counts as accepted, and all are sent once the portal is gone",
    async (status) => {
      await start();
      let hasPortal = true;
      edge.fault = (path) => (hasPortal && path === "/v1/heartbeats" ? portalPage(status) : undefined);
      for (const sequence of [1, 2, 3]) sender.offer(beat(sequence));
      await until("it was turned away twice", () => pauses.length >= 2);
      expect([sequences(), spool.waiting(), answers.length]).toEqual([[], 3, 0]);
      hasPortal = false;
      await until("all are taken", () => sequences().length === 3);
      expect(sequences()).toEqual([1, 2, 3]);
      expect(connections.map(({ state }) => state)).toEqual(["away", "online"]);
    },
  );

  test.each([200, 201])(
    "with status %d and its page, no session is opened and no heartbeat is lost",
    async (status) => {
      await start();
      let hasPortal = true;
      edge.fault = (path) => (hasPortal && path === "/v1/session" ? portalPage(status) : undefined);
      sender.offer(beat(1));
      await until("it was turned away twice", () => pauses.length >= 2);
      expect([edge.asked.includes("/v1/heartbeats"), spool.waiting()]).toEqual([false, 1]);
      hasPortal = false;
      await until("it is taken", () => sequences().length === 1);
    },
  );

  test.each([200, 201])("with status %d and its page, the host is not enrolled", async (status) => {
    edge.fault = () => portalPage(status);
    await expect(start()).rejects.toThrow("not from a LifecycleZero control plane");
    edge.fault = undefined;
    await start();
  });
});

describe("isControlPlaneHealthy()", () => {
  const ask = () => isControlPlaneHealthy(fetch, edge.url, never);

  test("is true for a response from the control plane over a new connection", async () => {
    expect(await ask()).toBe(true);
    const inits: RequestInit[] = [];
    const recording = (url: string, init: RequestInit) => {
      inits.push(init);
      return fetch(url, init);
    };
    await isControlPlaneHealthy(recording, edge.url, never);
    expect(inits).toMatchObject([{ keepalive: false, redirect: "manual" }]);
  });

  test.each([
    ["the page of a captive portal", () => portalPage()],
    ["another program's JSON", () => Response.json({ ok: true })],
    ["an empty answer", () => new Response("")],
    ["null", () => new Response("null")],
    ["a redirect", () => new Response(null, { status: 302, headers: { location: "/healthz" } })],
    ["its own words under another status", () => Response.json({ status: "ok" }, { status: 503 })],
    ["an endless answer", () => Response.json({ status: "ok", more: "x".repeat(2000) })],
  ])("is false for %s", async (_what, answer) => {
    edge.fault = (path) => (path === "/healthz" ? answer() : undefined);
    expect(await ask()).toBe(false);
  });

  test("is false without a response", async () => {
    await edge.stop();
    expect(await ask()).toBe(false);
  });
});

describe("outcomeOf()", () => {
  const answered = (status: number, code?: string, body = ""): Answer => ({
    kind: "answered",
    status,
    body,
    ...(code ? { problem: { code, title: "t" } } : {}),
  });
  const receivedAt = "2026-11-21T00:00:00.000Z";
  test.each([
    [answered(202, undefined, JSON.stringify({ receivedAt })), "taken"],
    // A response of a later edge version, with a member that this agent version does not understand.
    [answered(202, undefined, JSON.stringify({ receivedAt, directive: 7 })), "taken"],
    [answered(202), "away"],
    [answered(202, undefined, HTML), "away"],
    [answered(202, undefined, "{}"), "away"],
    [answered(202, undefined, '{"receivedAt":"yesterday"}'), "away"],
    [answered(200, undefined, JSON.stringify({ receivedAt })), "away"],
    [answered(200), "away"],
    [answered(204), "away"],
    [answered(302), "away"],
    [answered(400), "away"],
    [answered(400, "wire.malformed"), "hopeless"],
    [answered(413, "wire.too-large"), "hopeless"],
    [answered(415, "wire.media-type"), "away"],
    [answered(401), "away"],
    [answered(401, "wire.session-expired"), "renew"],
    [answered(401, "wire.bad-signature"), "renew"],
    [answered(401, "wire.stale"), "away"],
    [answered(403), "away"],
    [answered(403, "asset.revoked"), "revoked"],
    [answered(404), "away"],
    [answered(429), "away"],
    [answered(500), "away"],
    [answered(503), "away"],
    [{ kind: "unreachable", reason: "r" } as Answer, "away"],
  ] as const)("%j is %s", (answer, expected) => {
    expect(outcomeOf(answer).is).toBe(expected);
  });
});

describe("enrol()", () => {
  const enrolAt = async (directory: string, post: Post, token = TOKEN) =>
    enrol(
      { post, random: () => 0, sleep: () => sleep(1), log: silent },
      await openDeviceKey(directory, process.platform),
      { ...REQUEST, token },
      never,
    );
  const postTo = (url: string): Post =>
    createPost({ edgeUrl: url, fetch, clock: controlClock(Date.now), wallClock: Date.now });

  test("retries with the same key and token after lost responses", async () => {
    const directory = temporaryDirectory();
    edge.fault = (_path, count) => (count <= 2 ? new Response("bad gateway", { status: 502 }) : undefined);
    const enrolled = await enrolAt(directory, postTo(edge.url));
    expect(enrolled.ok && enrolled.answer.assetId).toBe(ASSET);
    expect((await enrolAt(directory, postTo(edge.url))).ok).toBe(true);
    expect(new Set(edge.enrolments.map(({ deviceKey }) => deviceKey)).size).toBe(1);
  });

  test("returns a rejection of the edge without a retry, with its title and code", async () => {
    const refused = await enrolAt(temporaryDirectory(), postTo(edge.url), "x.y.z");
    expect(refused).toEqual({
      ok: false,
      reason: "The enrolment token is not valid (enrolment.invalid-token)",
    });
    expect(edge.asked).toHaveLength(1);
  });

  test("rejects a response that is not an enrolment", async () => {
    edge.fault = () => Response.json({ hello: "world" });
    const refused = await enrolAt(temporaryDirectory(), postTo(edge.url));
    expect(refused.ok).toBe(false);
  });

  test("gives up after a limited number of attempts if no server responds", async () => {
    const { url } = edge;
    await edge.stop();
    const refused = await enrolAt(temporaryDirectory(), postTo(url));
    expect(!refused.ok && refused.reason).toStartWith("the control plane cannot be reached");
    edge = await startEdge();
  });
});

describe("backoffMs()", () => {
  test("doubles up to a minute, and is random within the upper half", () => {
    expect([1, 2, 3, 6, 7, 50, 1e9].map((failures) => backoffMs(failures, () => 0))).toEqual([
      500, 1000, 2000, 16_000, 30_000, 30_000, 30_000,
    ]);
    expect([1, 7].map((failures) => backoffMs(failures, () => 0.999999))).toEqual([1000, 60_000]);
  });
  test("uses Retry-After as a minimum", () => {
    expect(backoffMs(1, () => 0, 30_000)).toBe(30_000);
    expect(backoffMs(7, () => 0, 1000)).toBe(30_000);
  });
});

describe("parseRetryAfter()", () => {
  test.each([
    [null, undefined],
    ["0", 0],
    ["120", 120_000],
    ["999999999", 600_000],
    ["-5", undefined],
    ["soon", undefined],
    [new Date(1_700_000_010_000).toUTCString(), 10_000],
    [new Date(1_600_000_000_000).toUTCString(), undefined],
  ] as const)("%p is %p ms", (value, expected) => {
    expect(parseRetryAfter(value, 1_700_000_000_000)).toBe(expected as number);
  });
});
