import { describe, expect, test } from "bun:test";
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { checkProtection } from "../../../../lz/doctor/aws.ts";
import { run } from "../../../../lz/doctor/doctor.ts";
import { checkWorker } from "../../../../lz/doctor/worker.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { marshalItem } from "../../../../shared/table/dynamo.ts";
import { securityKey } from "../../../../shared/table/keys.ts";
import { createMemoryDynamo } from "../../../support/dynamo/memory-dynamo.ts";
import { argumentsOf } from "../arguments-of.ts";

const NOW_MS = Date.parse("2026-11-30T12:00:00.000Z");
const TENANT = "org_a";

async function doctorOf(env: Record<string, string>, words: string[] = []) {
  const fetch = async (request: Request) => {
    const { pathname } = new URL(request.url);
    const answers: Record<string, object> = {
      "/healthz": { status: "ok" },
      "/readyz/admin": { status: "ready", signInKeys: "fresh" },
      "/v1/me": { tenantId: TENANT },
    };
    return Response.json(answers[pathname] ?? {});
  };
  const deps = { clock: () => NOW_MS, env, root: "/nowhere", fetch } as unknown as Deps;
  const { json } = await run(argumentsOf("doctor", ...words), deps);
  return (json as { checks: { name: string; state: string }[] }).checks;
}

test("lz doctor --url checks the installation, and not the machine it runs on", async () => {
  const checks = await doctorOf({}, ["--url", "https://lz.example.com", "--token", "t"]);
  const names = checks.map(({ name }) => name);
  expect(names).toEqual(["bun", "edge", "clock", "edge ready", "sign-in keys", "session", "table and queue"]);
  expect(checks.filter(({ state }) => state === "not ok")).toEqual([]);
});

test("without a URL and without a local stack, it says how to give or start one", async () => {
  const names = (await doctorOf({})).filter(({ state }) => state === "not ok").map(({ name }) => name);
  expect(names).toContain("stack.json");
});

describe("checkWorker()", () => {
  const stateOf = async (item: object | undefined) => {
    const { dynamo } = createMemoryDynamo();
    const Item = item && marshalItem({ ...securityKey(TENANT), type: "Security", tenantId: TENANT, ...item });
    if (Item) await dynamo("PutItem", { TableName: "t", Item });
    return (await checkWorker({ dynamo, table: "t" }, TENANT, { clock: () => NOW_MS })).state;
  };
  test.each([
    ["wrote a minute ago", { checkedAt: "2026-11-30T11:59:00.000Z", items: 3 }, "ok"],
    ["wrote three minutes ago", { checkedAt: "2026-11-30T11:57:00.000Z", items: 3 }, "ok"],
    ["wrote longer ago than that", { checkedAt: "2026-11-30T11:56:59.999Z", items: 3 }, "not ok"],
    ["of a large tenant writes less often", { checkedAt: "2026-11-30T11:30:00.000Z", items: 20_000 }, "ok"],
    ["of a large tenant is silent", { checkedAt: "2026-11-30T11:14:59.000Z", items: 20_000 }, "not ok"],
    ["has begun and never ended", { claimedUntil: "2026-11-30T12:05:00.000Z" }, "not ok"],
    ["never wrote", undefined, "not ok"],
  ] as const)("a worker that %s", async (_what, item, state) => {
    expect(await stateOf(item)).toBe(state);
  });
});

describe("checkProtection()", () => {
  const checksOf = async (table: object, recovery: string | Error) => {
    const send = async () => {
      if (recovery instanceof Error) throw recovery;
      return {
        ContinuousBackupsDescription: {
          PointInTimeRecoveryDescription: { PointInTimeRecoveryStatus: recovery },
        },
      };
    };
    const client = { send } as unknown as Pick<DynamoDBClient, "send">;
    return (await checkProtection(client, "t", table)).map(({ state }) => state);
  };
  test("a table with deletion protection, recovery and its own key has no faults", async () => {
    const table = { DeletionProtectionEnabled: true, SSEDescription: { Status: "ENABLED", SSEType: "KMS" } };
    expect(await checksOf(table, "ENABLED")).toEqual(["ok", "ok", "ok"]);
  });
  test("a table without them has faults, also if the request is denied", async () => {
    expect(await checksOf({}, "DISABLED")).toEqual(["not ok", "not ok", "note"]);
    expect(await checksOf({}, new Error("AccessDenied"))).toEqual(["not ok", "not ok", "note"]);
  });
});
