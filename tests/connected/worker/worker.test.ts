import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startWorker } from "../../../local/stack.ts";
import { makeEngine, makeHeartbeat } from "../../../lz/platform/simulated-agents.ts";
import { FINDINGS_MAX } from "../../../shared/policy/evaluate/evaluate.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { MINUTE_MS } from "../../../shared/time/durations.ts";
import type { Engine, Heartbeat } from "../../../shared/wire/heartbeat.ts";
import { queueDepth, sendRaw, signedPack, takeDeadLetters } from "../../support/nodes/signed-pack.ts";
import {
  enrolAsset,
  eventually,
  ROOT,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

describe("worker", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack("bun", { visibilitySeconds: 4 });
  });
  afterAll(() => stack?.stop());

  const pack = (asset: SimulatedAsset, heartbeats: Heartbeat[]) =>
    signedPack(
      stack,
      asset.tenantId,
      heartbeats.map((heartbeat) => ({
        assetId: asset.assetId,
        receivedAt: timestamp(Date.now()),
        body: JSON.stringify(heartbeat),
      })),
    );
  const timeline = async (asset: SimulatedAsset) => {
    const answer = await stack.api(`/v1/assets/${asset.assetId}/timeline?limit=200`);
    return ((await answer.json()) as { items: { at: string; sequence: number; risk: string }[] }).items;
  };
  const incidents = async (asset: SimulatedAsset) => {
    const pages = await Promise.all(
      ["CRITICAL", "WARNING"].map(async (risk) =>
        (await stack.api(`/v1/incidents?risk=${risk}&limit=200`)).json(),
      ),
    );
    return pages
      .flatMap((page) => (page as { items: { assetId: string; rule: string; openedAt: string }[] }).items)
      .filter((incident) => incident.assetId === asset.assetId);
  };
  const presence = async (asset: SimulatedAsset) =>
    ((await (await stack.api(`/v1/assets/${asset.assetId}`)).json()) as { presence?: { sequence: number } })
      .presence;
  const settled = () =>
    eventually(async () => {
      const { waiting, inFlight } = await queueDepth(stack);
      return waiting + inFlight === 0;
    }, 20_000);

  test("a tampered message is not recorded, and is dead-lettered with a reason", async () => {
    const asset = await enrolAsset(stack, "tampered");
    const good = await pack(asset, [makeHeartbeat(1, Date.now(), "tampered")]);
    await sendRaw(stack, { ...good, body: good.body.replace('"sequence":1', '"sequence":7') });
    await sendRaw(stack, { ...good, body: good.body.replace(asset.tenantId, "org_other") });
    await sendRaw(stack, { ...good, attributes: {} });
    const kid = { ...good.attributes, "lz-kid": { DataType: "String" as const, StringValue: "nobody" } };
    await sendRaw(stack, { ...good, attributes: kid });
    await settled();
    const reasons = (await takeDeadLetters(stack)).map((letter) => letter.reason).sort();
    expect(reasons).toEqual([
      "signed with a key that the worker does not know",
      "the signature does not verify",
      "the signature does not verify",
      "unsigned",
    ]);
    expect(await presence(asset)).toBeUndefined();
    expect(await timeline(asset)).toEqual([]);
  });

  test("a heartbeat that always fails does not block the other heartbeats of its batch", async () => {
    const asset = await enrolAsset(stack, "mixed");
    const now = Date.now();
    const bad = { ...makeHeartbeat(2, now + 1, "mixed"), v: 3 } as unknown as Heartbeat;
    await sendRaw(
      stack,
      await pack(asset, [makeHeartbeat(1, now, "mixed"), bad, makeHeartbeat(3, now + 2, "mixed")]),
    );
    await settled();
    expect((await timeline(asset)).map((item) => item.sequence)).toEqual([3, 1]);
    expect(await takeDeadLetters(stack)).toMatchObject([
      { reason: "the heartbeat does not match its schema" },
    ]);
  });

  test("duplicate and late messages lead to the same contents of the table", async () => {
    const asset = await enrolAsset(stack, "again");
    const start = Date.now() - 10 * MINUTE_MS;
    const beats = [0, 1, 2].map((minute) =>
      makeHeartbeat(minute + 1, start + minute * MINUTE_MS, "again", {
        engines: minute === 2 ? [] : [makeEngine({ pid: 100 + minute })],
      }),
    );
    const [first, second, third] = await Promise.all(beats.map((beat) => pack(asset, [beat])));
    for (const message of [third!, first!, second!, third!, first!]) await sendRaw(stack, message);
    await settled();
    expect((await timeline(asset)).map((item) => item.sequence)).toEqual([3, 2, 1]);
    expect(await presence(asset)).toMatchObject({ sequence: 3, engines: [] });
  });

  test("an unchanged state is sampled once a minute, and the timeline contains only changes", async () => {
    const asset = await enrolAsset(stack, "steady");
    const start = Math.floor((Date.now() - 10 * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;
    const stateSince = timestamp(start);
    const beats = Array.from({ length: 36 }, (_, i) =>
      makeHeartbeat(i + 1, start + i * 5000, "steady", { stateSince }),
    );
    await sendRaw(stack, await pack(asset, beats));
    await settled();
    expect(await timeline(asset)).toHaveLength(1);
    // A period of three minutes contains two or three sampling times of this asset.
    expect(await samples(stack, asset)).toBeWithin(2, 4);
  });

  test("a finding opens one incident, later heartbeats extend it, the quiet period ends it, and it can be reopened", async () => {
    const asset = await enrolAsset(stack, "risky");
    const start = Date.now() - 60 * MINUTE_MS;
    const at = (minute: number, engines = [makeEngine({ bind: ["0.0.0.0"] })]) =>
      makeHeartbeat(minute + 1, start + minute * MINUTE_MS, "risky", { engines });
    await sendRaw(stack, await pack(asset, [at(0), at(1, [makeEngine({ bind: ["0.0.0.0"], pid: 7 })])]));
    await settled();
    const opened = await incidents(asset);
    expect(opened.map((incident) => incident.rule).sort()).toEqual([
      "exposed-engine",
      "unapproved-engine",
      "unapproved-model",
    ]);
    expect(new Set(opened.map((incident) => incident.openedAt))).toEqual(new Set([timestamp(start)]));
    await sendRaw(stack, await pack(asset, [at(2, []), at(16, [])]));
    await settled();
    expect(await incidents(asset)).toHaveLength(3);
    await sendRaw(stack, await pack(asset, [at(17, [])]));
    await settled();
    expect(await incidents(asset)).toEqual([]);
    await sendRaw(stack, await pack(asset, [at(20)]));
    await settled();
    expect((await incidents(asset)).map((incident) => incident.openedAt)).toContain(
      timestamp(start + 20 * MINUTE_MS),
    );
  });

  test("more incident changes than fit into one transaction are all recorded", async () => {
    const asset = await enrolAsset(stack, "crowded");
    const start = Date.now() - 60 * MINUTE_MS;
    const engines = (prefix: string): Engine[] =>
      Array.from({ length: FINDINGS_MAX }, (_, index) =>
        makeEngine({
          id: `${prefix}-${index}`,
          pid: 100 + index,
          ports: [20_000 + index],
          bind: ["0.0.0.0"],
        }),
      );
    const at = (minute: number, found: Engine[]) =>
      makeHeartbeat(minute + 1, start + minute * MINUTE_MS, "crowded", { engines: found });
    // The last heartbeat resolves all incidents of the first heartbeat, and opens the same number of new
    // incidents.
    const beats = [at(0, engines("first")), at(1, []), at(20, engines("second"))];
    await sendRaw(stack, await pack(asset, beats));
    await settled();
    const open = (await incidents(asset)) as { engine?: string }[];
    expect(open).toHaveLength(FINDINGS_MAX);
    expect(open.every(({ engine }) => engine?.startsWith("second-"))).toBe(true);
  });

  test("a containment report of an older generation does not prove the current directive", async () => {
    const asset = await enrolAsset(stack, "proofs");
    const change = (action: string, key: string) =>
      stack.api(`/v1/assets/${asset.assetId}/${action}`, {
        method: "POST",
        body: { justification: "for the test" },
        key,
      });
    const state = async () =>
      ((await (await stack.api(`/v1/assets/${asset.assetId}`)).json()) as { containment: { state: string } })
        .containment.state;
    const report = (generation: number, action: "isolate" | "release", ms = 0) => ({
      containment: {
        generation,
        action,
        mode: "observe" as const,
        outcome: "applied" as const,
        at: timestamp(Date.now() + ms),
        probes: { controlPlaneReachable: true, forbiddenBlocked: null },
      },
    });
    await change("isolate", "proof-isolate-1");
    await change("release", "proof-release-1");
    await asset.beat(report(1, "isolate"));
    await settled();
    expect(await state()).toBe("releasing");
    await asset.beat(report(2, "release"));
    await eventually(async () => (await state()) === "active");
    await change("isolate", "proof-isolate-2");
    expect(await state()).toBe("pending");
    await asset.beat(report(3, "isolate"));
    await eventually(async () => (await state()) === "acknowledged");
  });

  test("a message that takes longer than the visibility timeout is recorded once", async () => {
    const asset = await enrolAsset(stack, "slow-table");
    const dynamodb = stack.stages.get("dynamodb")!;
    dynamodb.kill("SIGSTOP");
    try {
      await sendRaw(stack, await pack(asset, [makeHeartbeat(1, Date.now(), "slow-table")]));
      // This time is longer than the visibility timeout of 4 s. Unless the worker extends the timeout, the
      // queue delivers the message again.
      await Bun.sleep(5000);
      expect(await queueDepth(stack)).toEqual({ waiting: 0, inFlight: 1 });
    } finally {
      dynamodb.kill("SIGCONT");
    }
    await settled();
    expect(await timeline(asset)).toHaveLength(1);
  });

  test("after SIGTERM the worker finishes and deletes the received messages", async () => {
    const asset = await enrolAsset(stack, "stopped");
    const start = Date.now() - 5 * MINUTE_MS;
    const messages = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        pack(
          asset,
          Array.from({ length: 10 }, (_, j) => makeHeartbeat(i * 10 + j + 1, start + i * 10 + j, "stopped")),
        ),
      ),
    );
    const worker = stack.stages.get("worker")!;
    for (const message of messages) await sendRaw(stack, message);
    worker.kill("SIGTERM");
    expect(await worker.exited).toBe(0);
    const { waiting, inFlight } = await queueDepth(stack);
    expect(inFlight).toBe(0);
    const recorded = (await allChanges(asset)).length;
    expect(recorded).toBe(300 - waiting * 10);
    stack.add(
      await startWorker({ root: ROOT, onLine: (_, line) => stack.lines.push(line) }, stack.workerEnv),
    );
    await settled();
    expect(await allChanges(asset)).toHaveLength(300);
  });

  test("SIGKILL during 1,000 heartbeats loses and duplicates none", async () => {
    const assets = await Promise.all(Array.from({ length: 20 }, (_, i) => enrolAsset(stack, `killed-${i}`)));
    const send = async (asset: SimulatedAsset) => {
      for (let i = 0; i < 50; i++) {
        expect((await asset.beat()).status).toBe(202);
        await Bun.sleep(4);
      }
    };
    const run = Promise.all(assets.map(send));
    // At this point, the worker has recorded some heartbeats, and others have not been sent yet.
    await eventually(async () => ((await presence(assets[0]!))?.sequence ?? 0) > 1);
    const killed = stack.stages.get("worker")!;
    killed.kill("SIGKILL");
    await killed.exited;
    stack.add(
      await startWorker({ root: ROOT, onLine: (_, line) => stack.lines.push(line) }, stack.workerEnv),
    );
    await run;
    await settled();
    const counts = await Promise.all(
      assets.map(async (asset) => (await allChanges(asset)).map((item) => item.sequence)),
    );
    const wanted = Array.from({ length: 50 }, (_, i) => 50 - i);
    for (const sequences of counts) expect(sequences).toEqual(wanted);
    expect(await takeDeadLetters(stack)).toEqual([]);
  }, 60_000);

  async function allChanges(asset: SimulatedAsset) {
    const all: { sequence: number }[] = [];
    let cursor = "";
    do {
      const query = `limit=200${cursor && `&cursor=${cursor}`}`;
      const answer = await stack.api(`/v1/assets/${asset.assetId}/timeline?${query}`);
      const page = (await answer.json()) as { items: { sequence: number }[]; cursor?: string };
      all.push(...page.items);
      cursor = page.cursor ?? "";
    } while (cursor);
    return all;
  }
});

async function samples(stack: TestStack, asset: SimulatedAsset): Promise<number> {
  const { embeddedClient } = await import("../../../local/table.ts");
  const { QueryCommand } = await import("@aws-sdk/client-dynamodb");
  const { SHARDS_DEFAULT, TABLE_NAME, telemetryPartition } = await import("../../../shared/table/keys.ts");
  const { values } = await import("../../../shared/table/dynamo.ts");
  const answer = await embeddedClient(stack.dynamodbEndpoint).send(
    new QueryCommand({
      TableName: TABLE_NAME,
      KeyConditionExpression: "PK = :pk AND begins_with(SK, :sk)",
      FilterExpression: "kind = :kind",
      ExpressionAttributeValues: values({
        pk: telemetryPartition(asset.tenantId, asset.assetId, SHARDS_DEFAULT),
        sk: `TELEMETRY#${asset.assetId}#`,
        kind: "sample",
      }),
    }),
  );
  return answer.Count ?? 0;
}
