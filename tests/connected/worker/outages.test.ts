import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  enrolAsset,
  eventually,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

for (const runtime of ["bun", "workerd"] as const)
  describe(`outages, with the edge on ${runtime}`, () => {
    let stack: TestStack;
    let asset: SimulatedAsset;
    beforeAll(async () => {
      stack = await startTestStack(runtime);
      asset = await enrolAsset(stack, "host-1");
      expect((await asset.beat()).status).toBe(202);
    });
    afterAll(() => stack?.stop());

    const presence = async () =>
      ((await (await stack.api(`/v1/assets/${asset.assetId}`)).json()) as { presence?: { sequence: number } })
        .presence;

    test("a DynamoDB that hangs blocks no heartbeat, and the worker records the heartbeats after it recovers", async () => {
      const dynamodb = stack.stages.get("dynamodb")!;
      dynamodb.kill("SIGSTOP");
      try {
        await Bun.sleep(2100); // After this time the cached open actions are stale. The edge must still use the cached actions.
        const startedAt = performance.now();
        for (let i = 0; i < 5; i++) expect((await asset.beat()).status).toBe(202);
        expect(performance.now() - startedAt).toBeLessThan(1500);
      } finally {
        dynamodb.kill("SIGCONT");
      }
      await eventually(async () => (await presence())?.sequence === 6, 30_000);
    }, 60_000);

    test("an edge node without its table reports ready for heartbeats and not ready for admins", async () => {
      const dynamodb = stack.stages.get("dynamodb")!;
      const ask = (path: string) => fetch(`${stack.edgeUrl}${path}`);
      dynamodb.kill("SIGSTOP");
      try {
        const away = await eventually(async () => {
          const answer = await ask("/readyz/admin");
          return answer.status === 503 && answer;
        });
        expect([away.status, away.headers.get("retry-after")]).toEqual([503, "5"]);
        const ready = await ask("/readyz");
        expect(ready.status).toBe(200);
        expect(await ready.json()).toEqual({ status: "ready", queue: "here", table: "away" });
        expect((await ask("/healthz")).status).toBe(200);
      } finally {
        dynamodb.kill("SIGCONT");
      }
      await eventually(async () => (await ask("/readyz/admin")).status === 200);
    }, 60_000);

    test("without SQS a heartbeat gets 503 with Retry-After, never 202", async () => {
      await stack.stages.get("sqs")!.stop();
      const answer = await asset.beat();
      expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
      const problem = await answer.text();
      expect(problem).toContain('"edge.unavailable"');
      expect(problem).not.toMatch(/sqs|127\.0\.0\.1|amazon/i);
    });
  });
