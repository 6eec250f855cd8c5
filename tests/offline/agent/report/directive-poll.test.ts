import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createDirectiveHandler, type DirectiveHandler } from "../../../../agent/contain/apply-directive.ts";
import { observeEnforcer } from "../../../../agent/contain/modes/observe.ts";
import { unsupportedEnforcer } from "../../../../agent/contain/platform/unsupported.ts";
import { deviceSigner, openDeviceKey } from "../../../../agent/identity/device-identity.ts";
import { enrol } from "../../../../agent/identity/enrol.ts";
import { createSession } from "../../../../agent/identity/session.ts";
import { createPost } from "../../../../agent/network/control-plane-client.ts";
import { silent } from "../../../../agent/platform/log.ts";
import { createDirectivePoll, type DirectivePolling } from "../../../../agent/report/directive-poll.ts";
import { sleep } from "../../../../shared/time/sleep.ts";
import { signDirective } from "../../../../shared/wire/directive.ts";
import { controlClock } from "../../../support/agent/control-clock.ts";
import {
  ASSET,
  controlKeys,
  directiveClaims,
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
let polling: DirectivePolling;
let handler: DirectiveHandler;
let pauses: number[];
let elapsedMs: number;
let stopper: AbortController;
let running: Promise<void>;

/**
 * Starts an enrolled agent that polls for directives. On its fake clock, each poll takes `pollMs`
 * milliseconds. Its real pauses are short.
 */
async function start({ pollMs = 25_000 } = {}): Promise<void> {
  const directory = temporaryDirectory();
  const device = await openDeviceKey(directory, process.platform);
  const post = createPost({ edgeUrl: edge.url, fetch, clock: controlClock(Date.now), wallClock: Date.now });
  const host = { hostname: "h", os: "Linux", arch: "x64", agentVersion: "0.1.0" };
  const request = { token: TOKEN, employeeId: "ada", host };
  await enrol({ post, random: () => 0, sleep: () => sleep(5), log: silent }, device, request, stopper.signal);
  const unsupported = unsupportedEnforcer("network");
  handler = createDirectiveHandler({
    directory,
    self: () => ({ tenantId: TENANT, assetId: ASSET, jwks: edge.jwks }),
    enforcers: {
      observe: observeEnforcer(async () => true),
      network: unsupported,
      "stop-engines": unsupported,
    },
    clock: Date.now,
    since: Date.now,
    elapsed: () => performance.now(),
    log: silent,
    onReport: () => {},
  });
  polling = createDirectivePoll({
    post,
    session: createSession({
      post,
      device: deviceSigner(device, { tenantId: TENANT, assetId: ASSET }),
      onSettings: () => {},
    }),
    generation: () => handler.report().generation,
    consider: handler.handle,
    elapsed: () => {
      elapsedMs += pollMs;
      return elapsedMs;
    },
    random: () => 0,
    sleep: (ms, signal) => {
      pauses.push(ms);
      return sleep(Math.min(ms, 5), signal);
    },
    log: silent,
  });
  running = polling.run(stopper.signal);
}

const nothing = (): Response => new Response(null, { status: 204 });
const polled = (count: number) => until(`${count} polls`, () => edge.polls.length >= count);
/**
 * Returns these responses in order, one for each poll. Later polls get an empty response after 200 ms, so the
 * agent is stopped while a poll is open.
 */
const script = (answers: (() => Response | Promise<Response>)[]) => (count: number) =>
  answers[count - 1]?.() ?? new Promise<Response>((resolve) => setTimeout(() => resolve(nothing()), 200));

beforeEach(async () => {
  edge = await startEdge();
  pauses = [];
  elapsedMs = 0;
  stopper = new AbortController();
});
afterEach(async () => {
  stopper.abort();
  await running;
  await edge.stop();
  removeTemporaryDirectories();
});

describe("createDirectivePoll()", () => {
  test("applies a directive as soon as it arrives, and polls with the new generation", async () => {
    const directive = await edge.direct({ generation: 1 });
    edge.onPoll = script([nothing, () => Response.json({ directive })]);
    await start();
    polling.connection({ state: "online" });
    await polled(3);
    expect(edge.polls.slice(0, 3)).toEqual([0, 0, 1]);
    expect(handler.report()).toMatchObject({ generation: 1, action: "isolate", outcome: "applied" });
    expect(pauses).toEqual([]);
  });

  test("polls only while heartbeats are accepted", async () => {
    let open = 0;
    edge.onPoll = async () => {
      open++;
      await Bun.sleep(50); // Time that the edge keeps a long poll open.
      open--;
      return nothing();
    };
    await start();
    await Bun.sleep(50); // The test checks that no poll arrives in this time.
    expect(edge.asked).not.toContain("/v1/directive");
    polling.connection({ state: "online" });
    await polled(2);
    polling.connection({ state: "away", reason: "gone" });
    await until("the poll under way is answered", () => open === 0);
    const { length } = edge.polls;
    await Bun.sleep(100); // The test checks that no poll arrives in this time.
    expect(edge.polls).toHaveLength(length);
    polling.connection({ state: "online" });
    await polled(length + 1);
  });

  test.each([
    ["signed by a stranger", async () => signDirective((await controlKeys()).control, directiveClaims())],
    ["for another asset", () => edge.direct({ asset: "01JD8Z0000000000000000XXXX" })],
    ["for another tenant", () => edge.direct({ tenant: "org_other" })],
    ["that has expired", () => edge.direct({ iat: 1_700_000_000, exp: 1_700_000_001 })],
  ])("a directive %s changes nothing, and does not cause a tight loop", async (_what, make) => {
    const directive = await make();
    const again = () => Response.json({ directive });
    edge.onPoll = script([again, again, again]);
    await start();
    polling.connection({ state: "online" });
    await polled(4);
    expect(handler.report()).toMatchObject({ generation: 0, action: "none" });
    expect(pauses.slice(0, 3)).toEqual([1000 / 2, 2000 / 2, 4000 / 2]);
  });

  test("backs off while the edge fails, uses Retry-After, and resets the backoff after a success", async () => {
    const later = (seconds: string) => () =>
      new Response("later", { status: 503, headers: { "retry-after": seconds } });
    edge.onPoll = script([later("0"), later("7"), () => problem("wire.bad-signature"), nothing, later("0")]);
    await start();
    polling.connection({ state: "online" });
    await polled(6);
    expect(pauses).toEqual([500, 7000, 2000, 500]);
  });

  test("an edge without long polls is polled again after 15 minutes, and an overloaded edge after its Retry-After time", async () => {
    const full = () => new Response(null, { status: 204, headers: { "retry-after": "60" } });
    edge.onPoll = script([full, () => new Response("no", { status: 404 })]);
    await start();
    polling.connection({ state: "online" });
    await polled(3);
    expect(pauses).toEqual([60_000, 900_000]);
  });

  test("a server that responds immediately is polled at most once a second", async () => {
    const portal = () => new Response("<html>", { status: 200 });
    edge.onPoll = script([nothing, nothing, portal, portal]);
    await start({ pollMs: 10 });
    polling.connection({ state: "online" });
    await polled(5);
    expect(pauses.slice(0, 2)).toEqual([990, 990]);
    expect(pauses.slice(2, 4).every((ms) => ms >= 990)).toBe(true);
  });

  test("the agent of a revoked asset polls again after five minutes", async () => {
    edge.onPoll = script([() => problem("asset.revoked")]);
    await start();
    polling.connection({ state: "online" });
    await polled(2);
    expect(pauses[0]).toBe(300_000);
  });

  test("stops immediately, even during a poll", async () => {
    edge.onPoll = () => new Promise(() => {});
    await start();
    polling.connection({ state: "online" });
    await polled(1);
    const startedAtMs = performance.now();
    stopper.abort();
    await running;
    expect(performance.now() - startedAtMs).toBeLessThan(1000);
  });
});
