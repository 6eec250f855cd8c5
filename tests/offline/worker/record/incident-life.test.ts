import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { makeEngine, makeHeartbeat } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { encodeEntry, encodePack } from "../../../../shared/queue/message.ts";
import { marshalItem, unmarshalItem, values } from "../../../../shared/table/dynamo.ts";
import { type IncidentItem, incidentItem } from "../../../../shared/table/items/incident.ts";
import { policy } from "../../../../shared/table/items/policy.ts";
import { incidentKey } from "../../../../shared/table/keys.ts";
import { timestamp } from "../../../../shared/time/clock.ts";
import { MINUTE_MS } from "../../../../shared/time/durations.ts";
import type { Engine } from "../../../../shared/wire/heartbeat.ts";
import { applyVerdict, isAmbiguous } from "../../../../worker/assess/llm-prompt.ts";
import type { Message } from "../../../../worker/heartbeat/queue-message.ts";
import { pollOnce } from "../../../../worker/receive/process-batch.ts";
import { RUNS_MAX } from "../../../../worker/record/incident-runs.ts";
import { recordHeartbeat } from "../../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import {
  ASSET,
  createWorkerDeps,
  deliver,
  makeTenant,
  TENANT,
} from "../../../support/dynamo/worker-table.ts";

const START_MS = Date.parse("2026-11-20T08:00:00.000Z");
const POLICY = policy.parse({
  approvedEngines: ["ollama"],
  approvedModels: ["llama3*"],
  disabledRules: ["baseline-novelty"],
});
const EXPOSED = makeEngine({ bind: ["0.0.0.0"] });

/** Test setup: one asset with one possible finding, one heartbeat per minute, and a quiet period of 15 minutes. */
function createLife() {
  const tenant = makeTenant({ policy: POLICY });
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, tenant);
  const at = (minute: number) => timestamp(START_MS + minute * MINUTE_MS);
  let state = "";
  let since = "";
  const Key = marshalItem(
    incidentKey(TENANT, { assetId: ASSET, rule: "exposed-engine", engine: "ollama" }, tenant.shards),
  );
  return {
    at,
    async beat(minute: number, engines: Engine[]): Promise<void> {
      if (JSON.stringify(engines) !== state) since = at(minute);
      state = JSON.stringify(engines);
      const beat = makeHeartbeat(minute + 1, START_MS + minute * MINUTE_MS, "host-1", {
        engines,
        stateSince: since,
      });
      await recordHeartbeat(deliver(beat), tenant, worker);
    },
    incident(): (IncidentItem & { GSI2PK?: string }) | undefined {
      const stored = table.items.get(`${Key.PK!.S} | ${Key.SK!.S}`);
      if (!stored) return undefined;
      const plain = unmarshalItem(stored) as { GSI2PK?: string };
      return { ...incidentItem.parse(plain), ...(plain.GSI2PK !== undefined && { GSI2PK: plain.GSI2PK }) };
    },
    /** Changes the incident as the API does for a person. */
    async byPerson(minute: number, action: "acknowledge" | "resolve"): Promise<void> {
      await table.dynamo("UpdateItem", {
        TableName: "t",
        Key,
        UpdateExpression:
          action === "acknowledge"
            ? "SET acknowledgedAt = :at, acknowledgedBy = :who"
            : "SET #status = :resolved, resolvedAt = :at, resolvedBy = :who, resolution = :why REMOVE GSI2PK, GSI2SK",
        ConditionExpression: "#status = :open",
        ExpressionAttributeNames: { "#status": "status" },
        ExpressionAttributeValues: values({
          at: at(minute),
          who: "dana",
          open: "OPEN",
          ...(action === "resolve" && { resolved: "RESOLVED", why: "a demo" }),
        }),
      });
    },
    events: () =>
      [...table.items.values()].filter((item) => item.type?.S === "Event").map((item) => item.kind!.S!),
  };
}

describe("an incident", () => {
  test("is opened, extended, resolved after the quiet period, and reopened as a new run", async () => {
    const life = createLife();
    await life.beat(0, [EXPOSED]);
    await life.beat(5, [{ ...EXPOSED, pid: 7 }]);
    expect(life.incident()).toMatchObject({ status: "OPEN", openedAt: life.at(0), lastSeenAt: life.at(5) });
    expect(life.incident()!.GSI2PK).toBe(`TENANT#${TENANT}#ALERT#CRITICAL`);
    await life.beat(10, []);
    await life.beat(24, []);
    expect(life.incident()!.status).toBe("OPEN");
    await life.beat(26, []); // only this heartbeat proves, at a resolution of one minute, that the condition was absent at minute 25
    expect(life.incident()).toMatchObject({ status: "RESOLVED", resolvedAt: life.at(25) });
    expect(life.incident()!.GSI2PK).toBeUndefined();
    await life.beat(40, [EXPOSED]);
    expect(life.incident()).toMatchObject({ status: "OPEN", openedAt: life.at(40), reopens: 1 });
    expect(life.incident()!.resolvedAt).toBeUndefined();
    expect(life.events().sort()).toEqual(["incident.opened", "incident.reopened", "incident.resolved"]);
  });

  test("escalates when its facts get worse, and is corrected without an event when they get better", async () => {
    const life = createLife();
    const exposed = (auth: Engine["auth"]) => [{ ...EXPOSED, auth }];
    await life.beat(0, exposed("unknown"));
    expect(life.incident()).toMatchObject({ points: 75, risk: "CRITICAL" });
    expect(life.incident()!.escalatedAt).toBeUndefined();
    await life.beat(1, exposed("open"));
    expect(life.incident()).toMatchObject({ points: 80, openedAt: life.at(0), escalatedAt: life.at(1) });
    await life.beat(2, exposed("unknown"));
    expect(life.incident()).toMatchObject({ points: 75, escalatedAt: life.at(1) });
    expect(life.events().sort()).toEqual(["incident.escalated", "incident.opened"]);
  });

  test("of an engine that loses its credential is a separate one, opened as CRITICAL", async () => {
    const life = createLife();
    await life.beat(0, [{ ...EXPOSED, auth: "required" }]);
    expect(life.incident()).toBeUndefined();
    await life.beat(1, [EXPOSED]);
    expect(life.incident()).toMatchObject({ risk: "CRITICAL", openedAt: life.at(1) });
    expect(life.events()).toEqual(["incident.opened", "incident.opened"]);
  });

  test("whose condition comes and goes within the quiet period stays one incident", async () => {
    const life = createLife();
    for (let minute = 0; minute < 60; minute += 10) {
      await life.beat(minute, [EXPOSED]);
      await life.beat(minute + 5, []);
    }
    expect(life.incident()).toMatchObject({ status: "OPEN", openedAt: life.at(0) });
    expect(life.events()).toEqual(["incident.opened"]);
  });

  test("keeps its acknowledgement while it is extended, and loses it with a new run", async () => {
    const life = createLife();
    await life.beat(0, [EXPOSED]);
    await life.byPerson(1, "acknowledge");
    await life.beat(2, [{ ...EXPOSED, pid: 7 }]);
    expect(life.incident()).toMatchObject({ acknowledgedBy: "dana", lastSeenAt: life.at(2) });
    await life.beat(3, []);
    await life.beat(19, []);
    await life.beat(20, [EXPOSED]);
    expect(life.incident()!.acknowledgedBy).toBeUndefined();
  });

  test("that a person resolved stays resolved while the condition lasts, including a short absence", async () => {
    const life = createLife();
    await life.beat(0, [EXPOSED]);
    await life.byPerson(1, "resolve");
    await life.beat(2, [EXPOSED]);
    await life.beat(3, [{ ...EXPOSED, pid: 7 }]);
    await life.beat(4, []);
    await life.beat(18, [EXPOSED]);
    expect(life.incident()).toMatchObject({ status: "RESOLVED", resolvedBy: "dana", resolution: "a demo" });
    expect(life.events()).toEqual(["incident.opened"]);
  });

  test("that a person resolved is reopened when the condition returns after the quiet period", async () => {
    const life = createLife();
    await life.beat(0, [EXPOSED]);
    await life.byPerson(1, "resolve");
    await life.beat(4, []);
    await life.beat(19, [EXPOSED]);
    expect(life.incident()).toMatchObject({ status: "OPEN", openedAt: life.at(19), reopens: 1 });
    expect(life.incident()!.resolvedBy).toBeUndefined();
    expect(life.incident()!.resolution).toBeUndefined();
  });

  test("that a person resolved is reopened by a late heartbeat with a worse state", async () => {
    const life = createLife();
    await life.beat(0, [{ ...EXPOSED, auth: "unknown" }]);
    await life.byPerson(5, "resolve"); // the person saw 75 points, but a late heartbeat will report 80
    await life.beat(3, [EXPOSED]);
    expect(life.incident()).toMatchObject({
      status: "OPEN",
      points: 80,
      escalatedAt: life.at(3),
      reopens: 1,
    });
    expect(life.incident()!.resolvedBy).toBeUndefined();
    await life.byPerson(6, "resolve");
    await life.beat(7, [{ ...EXPOSED, pid: 7 }]);
    expect(life.incident()!.status).toBe("RESOLVED");
  });

  test("that a person resolved is not changed by the end of the quiet period", async () => {
    const life = createLife();
    await life.beat(0, [EXPOSED]);
    await life.byPerson(1, "resolve");
    await life.beat(4, []);
    await life.beat(30, []);
    expect(life.incident()).toMatchObject({ resolvedAt: life.at(1), resolvedBy: "dana" });
  });
});

describe("an asset that shows different engines in every heartbeat", () => {
  const DECOYS = 40;
  const namesOf = (minute: number) => Array.from({ length: DECOYS }, (_, i) => `decoy-${minute}-${i}`);
  async function flood(minutes: number) {
    const tenant = makeTenant({ policy: POLICY });
    const table = createMemoryDynamo();
    const worker = createWorkerDeps(table, tenant);
    const beat = async (minute: number, engines: Engine[]) => {
      const ms = START_MS + minute * MINUTE_MS;
      const more = { engines, stateSince: timestamp(ms) };
      await recordHeartbeat(deliver(makeHeartbeat(minute + 1, ms, "host-1", more)), tenant, worker);
    };
    for (let minute = 0; minute < minutes; minute++)
      await beat(
        minute,
        namesOf(minute).map((id) => makeEngine({ id, name: id, models: [] })),
      );
    const open = () =>
      [...table.items.values()]
        .filter(({ GSI2PK }) => GSI2PK?.S?.includes("#ALERT#"))
        .map(({ engine }) => engine!.S!);
    const { length } = unmarshalItem(table.items.get(`TENANT#${TENANT} | PRESENCE#${ASSET}`)!)
      .openIncidents as object[];
    return { beat, open, known: length };
  }

  test("has a limited number of open incidents, all of them listed in presence", async () => {
    const atBound = await flood(RUNS_MAX.WARNING / DECOYS);
    expect([atBound.open().length, atBound.known]).toEqual([RUNS_MAX.WARNING, RUNS_MAX.WARNING]);
    const beyond = await flood(RUNS_MAX.WARNING / DECOYS + 1);
    expect([beyond.open().length, beyond.known]).toEqual([RUNS_MAX.WARNING, RUNS_MAX.WARNING]);
    expect(beyond.open()).not.toContain(`decoy-${RUNS_MAX.WARNING / DECOYS}-0`);
  });

  test("still opens CRITICAL incidents, and has capacity again after the quiet period", async () => {
    const minutes = RUNS_MAX.WARNING / DECOYS + 1;
    const { beat, open } = await flood(minutes);
    await beat(minutes, [EXPOSED, makeEngine({ id: "vllm", models: [] })]);
    expect(open()).toContain("ollama");
    expect(open()).not.toContain("vllm");
    await beat(minutes + 30, [makeEngine({ id: "vllm", models: [] })]);
    expect(open().sort()).toEqual(["ollama", "vllm"]);
  });
});

describe("a spool beyond the limits of the policy, during a state", () => {
  /** Records one heartbeat per minute, and returns the number of writes in each minute. */
  async function lifeOf(spools: readonly { waiting: number; dropped: number }[]) {
    const tenant = makeTenant({ policy: POLICY });
    const table = createMemoryDynamo();
    const worker = createWorkerDeps(table, tenant);
    const writes: number[] = [];
    const written = () =>
      ["PutItem", "UpdateItem", "TransactWriteItems"].reduce(
        (sum, name) => sum + (table.calls.get(name as "PutItem") ?? 0),
        0,
      );
    for (const [minute, spool] of spools.entries()) {
      const before = written();
      const beat = makeHeartbeat(minute + 1, START_MS + minute * MINUTE_MS, "host-1", {
        stateSince: timestamp(START_MS),
        spool,
      });
      await recordHeartbeat(deliver(beat), tenant, worker);
      writes.push(written() - before);
    }
    const all = [...table.items.values()].map((item) => unmarshalItem(item) as Record<string, unknown>);
    return { writes, incidents: all.filter(({ type }) => type === "Incident"), all };
  }
  const at = (minute: number) => timestamp(START_MS + minute * MINUTE_MS);

  test("opens its incident with the heartbeat that crosses the limit; a further growth is no change", async () => {
    const spools = Array.from({ length: 400 }, (_, i) => ({ waiting: 0, dropped: i > 5 ? 900 + i : 0 }));
    const { incidents, all, writes } = await lifeOf(spools);
    expect(incidents).toMatchObject([{ rule: "lost-heartbeats", status: "OPEN", openedAt: at(6) }]);
    expect(all.filter(({ kind }) => kind === "change")).toHaveLength(2);
    expect(Math.max(...writes.slice(7))).toBe(2); // an unchanged state causes two writes: a sample and presence
  });

  test("resolves it after the spool is below the limit for the quiet period", async () => {
    const spools = Array.from({ length: 60 }, (_, i) => ({
      waiting: i >= 10 && i < 20 ? 800 + i : 700 + (i % 20),
      dropped: 0,
    }));
    const { incidents, all } = await lifeOf(spools);
    expect(incidents).toMatchObject([
      { rule: "late-heartbeats", status: "RESOLVED", openedAt: at(10), resolvedAt: at(35) },
    ]);
    expect(all.filter(({ kind }) => kind === "change")).toHaveLength(3);
  });

  test("is a change one heartbeat beyond the limit, but not at the limit", async () => {
    expect((await lifeOf([0, 719, 720].map((waiting) => ({ waiting, dropped: 0 })))).incidents).toEqual([]);
    expect((await lifeOf([0, 720, 721].map((waiting) => ({ waiting, dropped: 0 })))).incidents).toHaveLength(
      1,
    );
  });
});

test("a finding of the baseline opens its incident even if the language model follows instructions in the evidence", async () => {
  const tenant = makeTenant({
    policy: policy.parse({ approvedEngines: ["ollama", "odd"], approvedModels: ["*"] }),
  });
  const table = createMemoryDynamo();
  const worker = createWorkerDeps(table, tenant, {
    lookUpVerdict: async (assessment, heartbeat) =>
      isAmbiguous(assessment)
        ? applyVerdict(assessment, { risk: "INFO", score: 0, explanation: "It is fine." }, heartbeat, "m")
        : assessment,
  });
  for (let day = 0; day <= 8; day++) {
    const clients = [{ name: day === 8 ? "odd" : "code", connections: 1 }];
    const beat = makeHeartbeat(day + 1, START_MS + day * 24 * 60 * MINUTE_MS, "host-1", {
      engines: [makeEngine({ clients })],
    });
    await recordHeartbeat(deliver(beat), tenant, worker);
  }
  const all = [...table.items.values()].map((item) => unmarshalItem(item) as Record<string, unknown>);
  expect(all.find(({ type }) => type === "Presence")).toMatchObject({ risk: "INFO", score: 20 });
  expect(all.filter(({ type }) => type === "Incident")).toMatchObject([
    { rule: "baseline-novelty", status: "OPEN", risk: "WARNING", points: 30 },
  ]);
});

test("a day of 1,000 assets with 0.1 % of risky hours results in tens of incidents", async () => {
  const tenant = makeTenant({ policy: POLICY, telemetryResolutionSeconds: 3600 });
  const table = createMemoryDynamo();
  const key = Buffer.alloc(32, 1);
  let waiting: Message[] = [];
  const worker = createWorkerDeps(table, tenant, {
    queueKeys: new Map([["k", key]]),
    queue: {
      receive: async () => waiting.splice(0),
      remove: async () => {},
      extend: async () => {},
      bury: async ({ reason }) => {
        throw new Error(reason);
      },
    },
  });
  const ASSETS = 1000;
  const STEP_MS = 10 * MINUTE_MS;
  const dayMs = Date.parse("2026-11-20T00:00:00.000Z");
  // There are 24 episodes of an hour on 24 assets, so 24 of 24,000 asset hours are risky. Within each
  // episode, the process restarts repeatedly.
  const isRisky = (asset: number, step: number) =>
    asset % 42 === 7 && Math.floor(step / 6) === Math.floor(asset / 42);
  let heartbeats = 0;
  let risky = 0;
  const states = new Map<number, { text: string; since: string }>();
  for (let step = 0; step < 144; step++) {
    const atMs = dayMs + step * STEP_MS + 1234;
    const lines = Array.from({ length: ASSETS }, (_, asset) => {
      const engine = isRisky(asset, step) ? { ...EXPOSED, pid: 100 + step } : makeEngine();
      if (isRisky(asset, step)) risky++;
      const text = JSON.stringify(engine);
      if (states.get(asset)?.text !== text) states.set(asset, { text, since: timestamp(atMs) });
      const stateSince = states.get(asset)!.since;
      heartbeats++;
      const assetId = `01K${String(asset).padStart(23, "0")}`;
      const body = JSON.stringify(
        makeHeartbeat(step + 1, atMs, `host-${asset}`, { engines: [engine], stateSince }),
      );
      return encodeEntry({ assetId, receivedAt: timestamp(atMs), body });
    });
    const body = fromUtf8(encodePack(TENANT, lines));
    const signature = createHmac("sha256", key).update(body).digest("base64url");
    waiting = [{ id: "m", receipt: "r", body, kid: "k", signature, receives: 1, sentAtMs: 0 }];
    expect(await pollOnce(worker, new AbortController().signal)).toBe(ASSETS);
  }
  const incidents = [...table.items.values()].filter((item) => item.type?.S === "Incident");
  const open = incidents.filter((item) => item.GSI2PK);
  console.log(
    `a day: ${heartbeats} heartbeats, ${risky} risky, ${incidents.length} incidents, ${open.length} still open, ` +
      `${worker.metrics.read().heartbeats_unchanged_total} heartbeats added nothing, ${[...table.calls].map(([name, count]) => `${name} ${count}`).join(", ")}`,
  );
  expect(incidents.length).toBeGreaterThanOrEqual(10);
  expect(incidents.length).toBeLessThan(100);
  expect(open.length).toBeLessThanOrEqual(2);
}, 60_000);
