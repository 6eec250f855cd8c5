import { expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../../../local/free-port.ts";
import { makeEngine, makeHeartbeat } from "../../../lz/platform/simulated-agents.ts";
import { createLlmClient } from "../../../worker/assess/llm-client.ts";
import { createLlmReviewer } from "../../../worker/assess/llm-review.ts";
import { createMetrics } from "../../../worker/platform/metrics.ts";
import { recordHeartbeat } from "../../../worker/record/record-heartbeat.ts";
import { createMemoryDynamo } from "../../support/dynamo/memory-dynamo.ts";
import { createWorkerDeps, deliver, makeTenant } from "../../support/dynamo/worker-table.ts";
import { testUnless } from "../../support/missing.ts";
import { randomLlama } from "../../support/programs/random-llama.ts";
import { ROOT } from "../../support/stack.ts";

/**
 * Tests LLM review with a real llama.cpp server. Only the protocol is tested: the model weights are random,
 * and a grammar makes the output fit the schema. Other tests use tests/support/programs/openai-server.ts,
 * which needs no installed server.
 */
const server = process.env.LZ_LLAMA_SERVER ?? Bun.which("llama-server");
const lacking = server ? [] : ["llama-server on the PATH or a command in LZ_LLAMA_SERVER: docs/rules.md"];
const SECONDS = 120;

async function startLlama(model: string): Promise<{ baseUrl: string; stop: () => Promise<unknown> }> {
  const port = await freePort();
  const options = ["--model", model, "--host", "127.0.0.1", "--port", String(port), "--ctx-size", "16384"];
  // With such a small model, two threads would spend most of their time waiting for each other.
  const command = [...server!.split(" "), ...options, "--threads", "1"];
  const child = Bun.spawn(command, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
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

testUnless(
  lacking,
  "adjudicate() gets a response that fits the schema from a real llama.cpp server, and records it",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "lz-llama-"));
    const model = join(directory, "random.gguf");
    await Bun.write(model, randomLlama());
    const llama = await startLlama(model);
    try {
      const table = createMemoryDynamo();
      const tenant = makeTenant();
      const metrics = createMetrics();
      const worker = createWorkerDeps(table, tenant, { metrics });
      const limits = { timeoutMs: 60_000, concurrency: 1, dailyQuestions: 10 };
      const ask = createLlmClient({ baseUrl: llama.baseUrl, model: "llama" });
      const { review } = createLlmReviewer(ask, "llama.cpp", limits, worker);
      worker.lookUpVerdict = async (...of) => (await review(...of)).assessment;
      const beat = makeHeartbeat(1, worker.clock(), "host-1", { engines: [makeEngine({ models: [] })] });
      await recordHeartbeat(deliver(beat), tenant, worker);
      const change = [...table.items.values()].find(({ kind }) => kind?.S === "change")!;
      console.log(`llama.cpp: ${JSON.stringify(change.adjudication?.M)}`);
      expect(change.adjudication?.M?.outcome?.S).toBe("judged");
      expect(metrics.read()).toMatchObject({ adjudications_total: 1, adjudications_unavailable_total: 0 });
      // The findings of the rules are recorded regardless of the review.
      expect(change.findings!.L!.length).toBeGreaterThan(0);
    } finally {
      await llama.stop();
      rmSync(directory, { recursive: true });
    }
  },
  SECONDS * 2000,
);
