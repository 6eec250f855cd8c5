import { describe, expect, test } from "bun:test";
import { signedRequest } from "../../lz/platform/simulated-agents.ts";
import { DIRECTIVE_PATH } from "../../shared/wire/directive-poll.ts";
import { enrolAsset, eventually, startTestStack } from "../support/stack.ts";

// workerd is not tested, because it has no shutdown signal. Cloudflare itself moves requests to another
// isolate.
for (const runtime of ["bun", "deno"] as const)
  describe(`an edge under ${runtime} that receives SIGTERM`, () => {
    test("reports that it is not ready, serves old and new requests, and exits with 0", async () => {
      const stack = await startTestStack(runtime, { workers: 0, environment: { LZ_DRAIN_SECONDS: "5" } });
      try {
        const asset = await enrolAsset(stack, "host-1");
        const ask = (path: string) => fetch(`${stack.edgeUrl}${path}`);
        expect((await ask("/readyz")).headers.get("connection")).not.toBe("close");
        const body = JSON.stringify({ v: 1, generation: 0 });
        const held = fetch(await signedRequest(stack.edgeUrl, DIRECTIVE_PATH, body, asset.signer));
        const sqs = stack.stages.get("sqs")!;
        sqs.kill("SIGSTOP");
        const underWay = asset.beat();
        const edge = stack.stages.get("edge")!;
        edge.kill("SIGTERM");
        const told = await eventually(async () => {
          const answer = await ask("/readyz");
          return answer.status === 503 && answer;
        });
        expect(await told.json()).toMatchObject({ node: "leaving" });
        sqs.kill("SIGCONT");
        const late = await asset.beat();
        expect([late.status, late.headers.get("connection")]).toEqual([202, "close"]);
        expect((await underWay).status).toBe(202);
        expect((await held).status).toBe(204);
        expect(await edge.exited).toBe(0);
        await expect(ask("/readyz")).rejects.toThrow();
      } finally {
        await stack.stop();
      }
    }, 60_000);

    test("ends immediately on a second signal", async () => {
      const stack = await startTestStack(runtime, { workers: 0, environment: { LZ_DRAIN_SECONDS: "300" } });
      try {
        const edge = stack.stages.get("edge")!;
        edge.kill("SIGTERM");
        await eventually(async () => (await fetch(`${stack.edgeUrl}/readyz`)).status === 503);
        edge.kill("SIGTERM");
        expect(await edge.exited).toBe(1);
      } finally {
        await stack.stop();
      }
    }, 60_000);
  });
