import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { TelemetryChange } from "../../shared/table/items/asset/telemetry.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../offline/agent/scan/scan-gguf.ts";
import { buildAgent, runAgent } from "../support/agent/agent-binary.ts";
import { type Running, startOllamaShaped } from "../support/programs/engines.ts";
import { eventually, startTestStack, type TestStack } from "../support/stack.ts";

/**
 * Tests that banned model weights on a host's disk are found although no running program could load them.
 * When a program that can load them starts, there is still only one incident.
 */

const DIGEST = `sha256:${"a".repeat(64)}`;
const MANIFEST = {
  schemaVersion: 2,
  layers: [{ mediaType: "application/vnd.ollama.image.model", digest: DIGEST, size: 1_100_000 }],
};

type Incident = { id: string; engine: string; explanation: string; status: string };

describe("models at rest", () => {
  const home = mkdtempSync(join(tmpdir(), "lz-home-"));
  let stack: TestStack;
  let asset: string;
  let ollama: Running | undefined;

  function put(path: string, content: string | Uint8Array): void {
    const file = join(home, ".ollama/models", path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const get = async <T>(path: string): Promise<T> => (await stack.api(path)).json() as Promise<T>;
  const newest = async () =>
    (await get<{ items: TelemetryChange[] }>(`${asset}/timeline`)).items[0] ?? undefined;
  const incidents = async () =>
    (await get<{ items: Incident[] }>("/v1/incidents?risk=WARNING&rule=banned-model-at-rest")).items;

  beforeAll(async () => {
    const weights = new Uint8Array(1_100_000);
    weights.set(ggufFile(HOLIDAY_PHOTOS));
    put(`blobs/${DIGEST.replace(":", "-")}`, weights);
    put("manifests/registry.ollama.ai/library/secret/1b", JSON.stringify(MANIFEST));
    const moved = join(home, "elsewhere/models");
    mkdirSync(moved, { recursive: true });
    writeFileSync(join(moved, "tiny.gguf"), weights);
    mkdirSync(join(home, ".lmstudio"));
    writeFileSync(join(home, ".lmstudio/settings.json"), JSON.stringify({ downloadsFolder: moved }));
    const binary = buildAgent();
    stack = await startTestStack("deno");
    const { headers } = await stack.api("/v1/policy");
    const saved = await stack.api("/v1/policy", {
      method: "PUT",
      body: { bannedModels: ["secret*"] },
      key: crypto.randomUUID(),
      match: headers.get("etag")!,
    });
    expect(saved.status).toBe(200);
    await runAgent(binary, stack, home);
    const { items } = await get<{ items: { assetId: string }[] }>("/v1/assets");
    asset = `/v1/assets/${items[0]!.assetId}`;
  }, 180_000);
  afterAll(async () => {
    await ollama?.stop();
    await stack?.stop();
    rmSync(home, { recursive: true, force: true });
  }, 60_000);

  test("are reported with their product and header metadata while the product does not run", async () => {
    const state = await eventually(async () => {
      const one = await newest();
      return one?.stores && one;
    }, 20_000);
    expect(state.engines.map(({ id }) => id)).not.toContain("ollama");
    const store = state.stores?.find(({ id }) => id === "ollama");
    expect(store?.name).toBe("Ollama");
    expect(store?.models).toContainEqual(
      expect.objectContaining({ name: "secret:1b", digest: DIGEST, quantisation: "Q4_K_M" }),
    );
  }, 30_000);

  test("are found in a directory that a setting of LM Studio names", async () => {
    const moved = await eventually(
      async () => (await newest())?.stores?.find(({ id }) => id === "lm-studio"),
      20_000,
    );
    expect(moved.models).toMatchObject([{ name: "TinyLlama 1.1B Chat", quantisation: "Q4_K_M" }]);
  }, 30_000);

  test("that the policy bans stay one incident when their product starts", async () => {
    const before = await eventually(async () => (await incidents())[0], 20_000);
    expect(before).toMatchObject({ engine: "ollama" });
    expect(before.explanation).toBe("Ollama holds secret:1b on disk, which the policy bans.");
    ollama = await startOllamaShaped();
    const running = await eventually(async () => {
      const one = await newest();
      return one?.engines.some(({ id }) => id === "ollama") && one;
    }, 20_000);
    expect(running.stores?.map(({ id }) => id)).not.toContain("ollama");
    const models = running.engines.find(({ id }) => id === "ollama")!.models;
    expect(models).toContainEqual(expect.objectContaining({ name: "secret:1b", loaded: false }));
    const found = running.findings.find(({ rule }) => rule === "banned-model-at-rest");
    expect(found?.explanation).toContain(`Ollama could load secret:1b (pid ${ollama.pid}`);
    expect((await incidents()).map(({ id }) => id)).toEqual([before.id]);
  }, 60_000);
});
