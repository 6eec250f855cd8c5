import { expect, test } from "bun:test";
import { dirname } from "node:path";
import { freePort } from "../../local/free-port.ts";
import { makeEngine, makeHeartbeat } from "../../lz/fleet.ts";
import { adjudication } from "../../shared/table/items/telemetry.ts";
import { createAdjudicator } from "../../worker/adjudicate.ts";
import { createAsk } from "../../worker/endpoint.ts";
import { createMetrics } from "../../worker/metrics.ts";
import { record } from "../../worker/record.ts";
import { createMemoryDynamo } from "../support/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant } from "../support/worker-table.ts";

/**
 * Adjudication against a real llama.cpp server. What is shown is the protocol, not wisdom: weights may be random, for
 * the server holds the output to the schema by a grammar. The server that always runs is tests/support/openai-server.ts.
 */
const binary = process.env.LZ_LLAMA_SERVER ?? Bun.which("llama-server");
const model = process.env.LZ_LLAMA_MODEL;
const SECONDS = 120;

async function startLlama(): Promise<{ baseUrl: string; stop: () => Promise<unknown> }> {
  const port = await freePort();
  const child = Bun.spawn(
    [binary!, "--model", model!, "--host", "127.0.0.1", "--port", String(port), "--ctx-size", "4096"],
    { stdio: ["ignore", "ignore", "ignore"], env: { ...process.env, LD_LIBRARY_PATH: dirname(binary!) } },
  );
  const stop = () => {
    child.kill();
    return child.exited;
  };
  for (let tries = 0; tries < SECONDS * 5; tries++) {
    const health = await fetch(`http://127.0.0.1:${port}/health`).catch(() => undefined);
    if (health?.ok) return { baseUrl: `http://127.0.0.1:${port}/v1`, stop };
    if (child.exitCode !== null) throw new Error(`llama-server ended with code ${child.exitCode}`);
    await Bun.sleep(200);
  }
  await stop();
  throw new Error("llama-server was not ready in time");
}

if (binary && model) {
  test(
    "a real llama.cpp server answers by the schema, or the item says that there is no answer",
    async () => {
      const llama = await startLlama();
      try {
        const table = createMemoryDynamo();
        const tenant = makeTenant();
        const metrics = createMetrics();
        const worker = createWorkerDeps(table, tenant, { metrics });
        const limits = { timeoutMs: 60_000, concurrency: 1, dailyQuestions: 10 };
        const ask = createAsk({ baseUrl: llama.baseUrl, model: "llama" });
        worker.adjudicate = createAdjudicator(ask, "llama.cpp", limits, worker);
        const beat = makeHeartbeat(1, worker.clock(), "host-1", { engines: [makeEngine({ models: [] })] });
        await record(deliver(beat), tenant, worker);
        const change = [...table.items.values()].find(({ kind }) => kind?.S === "change")!;
        const outcome = change.adjudication?.M?.outcome?.S;
        console.log(`llama.cpp: ${JSON.stringify(change.adjudication?.M)}`);
        expect(metrics.read()).toMatchObject({
          adjudications_total: 1,
          adjudications_unavailable_total: outcome === "judged" ? 0 : 1,
        });
        expect(["judged", "unavailable"]).toContain(outcome as string);
        // Rules and baseline stand in either case, and what was said fits the item.
        expect(change.findings!.L!.length).toBeGreaterThan(0);
        expect(adjudication.options.map(({ shape }) => shape.outcome.value)).toContain(outcome as "judged");
      } finally {
        await llama.stop();
      }
    },
    SECONDS * 2000,
  );
} else {
  console.log(
    "adjudication by a real llama.cpp server did not run: it takes llama-server (LZ_LLAMA_SERVER, or on the PATH) and LZ_LLAMA_MODEL, the path of a GGUF file",
  );
}
