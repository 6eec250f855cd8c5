import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeEngine, makeHeartbeat } from "../../../lz/platform/simulated-agents.ts";
import { REASON_ATTRIBUTE, REASONS } from "../../../shared/queue/message.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import { sendRaw, signedPack } from "../../support/nodes/signed-pack.ts";
import { enrolAsset, eventually, ROOT, startTestStack, type TestStack } from "../../support/stack.ts";

describe("lz against a running stack", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-cli-"));
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack("bun");
    const { edgeUrl, tenantId, adminToken, viewerToken, dynamodbEndpoint, sqsEndpoint, queueUrl } = stack;
    const known = { edgeUrl, tenantId, adminToken, viewerToken, dynamodbEndpoint, sqsEndpoint, queueUrl };
    writeFileSync(join(folder, "stack.json"), JSON.stringify(known));
  });
  afterAll(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true });
  });

  const lz = async <T>(...words: string[]): Promise<{ code: number; json: T; stderr: string }> => {
    const child = Bun.spawn([process.execPath, "lz/main.ts", ...words, "--json"], {
      cwd: ROOT,
      env: { ...process.env, LZ_LOCAL_DIR: folder },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { code: await child.exited, json: (stdout ? JSON.parse(stdout) : undefined) as T, stderr };
  };

  test("dlq list shows the reason of each dead letter, and dlq replay resends those whose failure was temporary", async () => {
    const asset = await enrolAsset(stack, "replayed");
    const beat = makeHeartbeat(1, Date.now(), "replayed");
    const entry = { assetId: asset.assetId, receivedAt: timestamp(Date.now()), body: JSON.stringify(beat) };
    const good = await signedPack(stack, asset.tenantId, [entry]);
    await sendRaw(stack, { ...good, body: good.body.replace('"count":1', '"count":2') });
    await sendRaw({ ...stack, queueUrl: stack.deadLetterUrl }, good); // A dead letter without a reason, as SQS makes it after five receives.
    const early = await signedPack(stack, asset.tenantId, [
      { ...entry, body: JSON.stringify(makeHeartbeat(2, Date.now(), "replayed")) },
    ]);
    const reason = { DataType: "String" as const, StringValue: REASONS.unknownKey };
    const buried = { ...early, attributes: { ...early.attributes, [REASON_ATTRIBUTE]: reason } };
    await sendRaw({ ...stack, queueUrl: stack.deadLetterUrl }, buried); // A dead letter with a reason, as a worker without the signing key makes it.
    const check = await eventually(async () => {
      const { json } = await lz<{ checks: { name: string; found: string; advice?: string }[] }>("doctor");
      return json.checks.find(({ name, found }) => name === "dead-letter queue" && found === "3 messages");
    }, 20_000);
    expect(check.advice).toContain("lz dlq replay");
    const listed = await eventually(async () => {
      const { json } = await lz<{ reason: string; canReplay: boolean }[]>("dlq", "list");
      return json.length === 3 ? json : undefined;
    }, 20_000);
    expect(listed.map(({ reason, canReplay }) => [reason, canReplay]).sort()).toEqual([
      ["received too often without success", true],
      [REASONS.unknownKey, true],
      ["the signature does not verify", false],
    ]);
    let replayed = 0;
    await eventually(async () => {
      replayed += (await lz<{ replayed: number }>("dlq", "replay")).json.replayed;
      return replayed >= 2;
    }, 40_000);
    expect(replayed).toBe(2);
    await eventually(async () => {
      const answer = await stack.api(`/v1/assets/${asset.assetId}`);
      return ((await answer.json()) as { presence?: { sequence: number } }).presence?.sequence === 2;
    });
  }, 90_000);

  test("policy test shows what another policy would find in recorded states, and changes nothing", async () => {
    const asset = await enrolAsset(stack, "judged");
    await asset.beat({ engines: [makeEngine()] });
    await eventually(async () => {
      const answer = await stack.api(`/v1/assets/${asset.assetId}/timeline`);
      return ((await answer.json()) as { items: object[] }).items.length === 1;
    });
    const file = join(folder, "policy.json");
    const hostsOf = async (policy: object, rule: string) => {
      writeFileSync(file, JSON.stringify(policy));
      const { json } = await lz<{
        rules: { rule: string; would: { hosts: string[] }; did: { hosts: string[] } }[];
      }>("policy", "test", file);
      const found = json.rules.find((each) => each.rule === rule);
      return [found?.would.hosts ?? [], found?.did.hosts ?? []];
    };
    expect(await hostsOf({}, "unapproved-engine")).toEqual([["judged"], ["judged"]]);
    expect(await hostsOf({ approvedEngines: ["ollama"] }, "unapproved-engine")).toEqual([[], ["judged"]]);
    expect(await hostsOf({ bannedEngines: ["ollama"] }, "banned-engine")).toEqual([["judged"], []]);
    writeFileSync(file, '{"approvedEngines": "ollama"}');
    const refused = await lz("policy", "test", file);
    expect([refused.code, refused.stderr]).toEqual([
      2,
      expect.stringContaining("is not a valid policy: approvedEngines"),
    ]);
  }, 60_000);
});
