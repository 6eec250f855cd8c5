import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type AttributeValue,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  ScanCommand,
} from "@aws-sdk/client-dynamodb";
import { decodeJwt, importJWK, type JWK } from "jose";
import { formatApiKey, secretHash } from "../../../edge/auth/authenticate-api-key.ts";
import { checkSignatures } from "../../../lz/doctor/signatures.ts";
import {
  type Device,
  enrolDevice,
  makeDevice,
  makeHeartbeat,
  openSession,
  sessionSigner,
  signedRequest,
} from "../../../lz/platform/simulated-agents.ts";
import { claimsOf, signAuthority, signNewDevice } from "../../../shared/authority/sign-authority.ts";
import { custodyHash } from "../../../shared/containment/custody-chain.ts";
import { signCheckpoint } from "../../../shared/containment/custody-checkpoint.ts";
import { marshalItem, unmarshalItem } from "../../../shared/table/dynamo.ts";
import type { AuditItem, CustodyHeadItem } from "../../../shared/table/items/custody.ts";
import {
  apiKeyKey,
  assetKey,
  authorityHeadKey,
  authorityKey,
  custodyHeadKey,
  deviceRecordKey,
  ENROLLED_PREFIX,
  enrolmentKey,
  type Key,
  securityKey,
  TABLE_NAME,
  tenantAuditKey,
  tenantKey,
} from "../../../shared/table/keys.ts";
import { sdkDynamo } from "../../../shared/table/sdk-dynamo.ts";
import { timestamp } from "../../../shared/time/clock.ts";
import type { ControlKey } from "../../../shared/wire/sign-statement.ts";
import type { NodeKind } from "../../support/iam/deployed-policies.ts";
import { accessKeyOf, type Guard, startGuard } from "../../support/iam/guard.ts";
import { makeRoleKeys } from "../../support/nodes/role-environment.ts";
import {
  enrolAsset,
  eventually,
  ROOT,
  type SimulatedAsset,
  startTestStack,
  type TestStack,
} from "../../support/stack.ts";

/*
 * The attacker controls one node and has the secrets of that node. The attacker also has the node's access
 * key with the policies of deploy/aws.yaml. Each attack must end as `denied` (the policy rejects the call),
 * `refused` (readers ignore the item) or `detected` (lz doctor or lz audit verify reports the attack). An
 * attack that succeeds undetected fails the test.
 */

type Item = Record<string, AttributeValue>;
type Outcome = "denied" | "refused" | "detected" | "succeeded";
type Attacker = (typeof ATTACKERS)[number];
type Attack = {
  name: string;
  /** Returns the items that the attack writes, and the keys of items that it deletes. */
  writes: () => Promise<(Item | { remove: Key })[]>;
  /** True if the attack reached its goal. */
  works: () => Promise<boolean>;
  /** True if the attack can succeed but is always detected. For example, an enrol node can create devices. */
  mayWork?: true;
  /** True if the product reports the attack. Default: the signature check of `lz doctor`. */
  isNamed?: () => Promise<boolean>;
};

const ATTACKERS = ["ingest", "enrol", "worker"] as const satisfies readonly NodeKind[];
const SECRET = "s".repeat(43);
const FORGED_KEY_ID = "01JD8Z0000000000000000TEST";

let stack: TestStack;
let guard: Guard;
let direct: DynamoDBClient;
let enrolKey: ControlKey;
let enrolJwks: string;
let controlJwks: string;
let tenantId: string;
let thief: Device;
/** An asset that no admin has changed. */
let untouched: SimulatedAsset;
/** An asset that an admin has isolated. */
let isolated: SimulatedAsset;
/** A revoked API key: the text of the key, and the stored item and authority record from before the revocation. */
let revoked: { text: string; before: Item[] };
let usedUp: { token: string; jti: string };
let snapshot: Map<string, Item>;
/** The signed head of the custody log before the newest record was added. */
let earlierHead: Item;

const clientOf = (endpoint: string, accessKeyId: string) =>
  new DynamoDBClient({
    ...{ endpoint, region: "us-east-1", maxAttempts: 1 },
    credentials: { accessKeyId, secretAccessKey: "local" },
  });
const nameOf = ({ PK, SK }: Item) => `${PK!.S} ${SK!.S}`;
const keyOf = ({ PK, SK }: Item): Item => ({ PK: PK!, SK: SK! });

async function scan(): Promise<Map<string, Item>> {
  const found = new Map<string, Item>();
  let from: Item | undefined;
  do {
    const page = await direct.send(new ScanCommand({ TableName: TABLE_NAME, ExclusiveStartKey: from }));
    for (const item of page.Items ?? []) found.set(nameOf(item), item);
    from = page.LastEvaluatedKey;
  } while (from);
  return found;
}
const stored = (key: Key): Item => structuredClone(snapshot.get(`${key.PK} ${key.SK}`)!);
const changed = (key: Key, more: object): Item => ({ ...stored(key), ...marshalItem({ ...more }) }) as Item;

async function restore(): Promise<void> {
  const now = await scan();
  for (const [name, item] of now)
    if (!snapshot.has(name))
      await direct.send(new DeleteItemCommand({ TableName: TABLE_NAME, Key: keyOf(item) }));
  for (const item of snapshot.values())
    await direct.send(new PutItemCommand({ TableName: TABLE_NAME, Item: item }));
}

const json = async (path: string, token?: string) => {
  const answer = await stack.api(path, token === undefined ? {} : { token });
  return answer.ok ? ((await answer.json()) as Record<string, unknown>) : undefined;
};
const containmentOf = async ({ assetId }: SimulatedAsset) =>
  ((await json(`/v1/assets/${assetId}`))?.containment as { state?: string } | undefined)?.state;
/** Returns the action of the directive that the control plane sends in a new session of the host. */
async function toldTo({ device, ...who }: SimulatedAsset): Promise<string | undefined> {
  await Bun.sleep(POLL_MS); // An edge node reads the open actions every two seconds.
  const session = await openSession(fetch, stack.edgeUrl, device, who).catch(() => undefined);
  if (!session) return undefined;
  const signer = await sessionSigner(session);
  const body = JSON.stringify(makeHeartbeat(++sequence, Date.now(), "told"));
  const answer = await fetch(await signedRequest(stack.edgeUrl, "/v1/heartbeats", body, signer));
  const { directive } = (await answer.json()) as { directive?: string };
  return directive && (decodeJwt(directive) as { action?: string }).action;
}
let sequence = 1000;
const POLL_MS = 2600;
const isKeyGood = async (text: string) => (await json("/v1/me", text)) !== undefined;
const opensSession = ({ assetId }: SimulatedAsset) =>
  openSession(fetch, stack.edgeUrl, thief, { tenantId, assetId }).then(
    () => true,
    () => false,
  );

/**
 * True if the signature check of `lz doctor` reports a problem. The check does not depend on items written by
 * a worker.
 */
async function isNamedByDoctor(): Promise<boolean> {
  const env = { LZ_CONTROL_JWKS: controlJwks, LZ_ENROL_JWKS: enrolJwks };
  const where = { dynamo: sdkDynamo(direct), table: TABLE_NAME };
  return (await checkSignatures(where, tenantId, { env, clock: Date.now })).state === "not ok";
}

async function isNamedByAudit(): Promise<boolean> {
  const child = Bun.spawn([process.execPath, join(ROOT, "lz/main.ts"), "audit", "verify"], {
    ...{ cwd: ROOT, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    env: { ...process.env, LZ_URL: stack.edgeUrl, LZ_TOKEN: stack.adminToken },
  });
  return (await child.exited) !== 0;
}

const forgedKey = async (): Promise<Item> =>
  marshalItem({
    ...apiKeyKey(tenantId, FORGED_KEY_ID),
    ...{ type: "ApiKey", tenantId, keyId: FORGED_KEY_ID, name: "robot", role: "admin" },
    ...{ secretHash: await secretHash(SECRET), createdAt: timestamp(Date.now()), createdBy: "user_x" },
    ...{ validUntil: timestamp(Date.now() + 9e8), expiresAt: Math.floor(Date.now() / 1000) + 9e5 },
  }) as Item;
const forgedKeyText = () => formatApiKey(tenantId, FORGED_KEY_ID, SECRET);
const newestRecord = () =>
  records().reduce((a, b) => (Number(a.tenantNumber!.N) > Number(b.tenantNumber!.N) ? a : b));
const records = () =>
  [...snapshot.values()]
    .filter(({ type }) => type?.S === "Audit")
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));

const ATTACKS: Attack[] = [
  {
    name: "create an admin API key",
    writes: async () => [await forgedKey()],
    works: () => isKeyGood(forgedKeyText()),
  },
  {
    name: "create one with a record by the node's own key",
    writes: async () => {
      const item = await forgedKey();
      return [item, marshalItem(await signAuthority(enrolKey, await claimsOf(tenantId, item, 99))) as Item];
    },
    works: () => isKeyGood(forgedKeyText()),
  },
  {
    name: "create one with a record among those of devices",
    writes: async () => {
      const item = await forgedKey();
      const record = await signAuthority(enrolKey, await claimsOf(tenantId, item, 0));
      return [item, marshalItem({ ...record, ...deviceRecordKey(tenantId, FORGED_KEY_ID) }) as Item];
    },
    works: () => isKeyGood(forgedKeyText()),
  },
  {
    name: "create one and write that all signatures are good",
    writes: async () => {
      const clean = { type: "Security", tenantId, checkedAt: timestamp(Date.now()), version: 1, items: 1 };
      const security = marshalItem({ ...securityKey(tenantId), ...clean, faultCount: 0, faults: [] }) as Item;
      return [await forgedKey(), security];
    },
    works: () => isKeyGood(forgedKeyText()),
  },
  {
    name: "put a revoked API key back",
    writes: async () => revoked.before,
    works: () => isKeyGood(revoked.text),
  },
  {
    name: "change the policy",
    writes: async () => {
      const policy = unmarshalItem(stored(tenantKey(tenantId))).policy as object;
      return [changed(tenantKey(tenantId), { policy: { ...policy, approvedEngines: ["*"] } })];
    },
    works: async () => JSON.stringify(await json("/v1/policy"))?.includes('"*"') === true,
  },
  {
    name: "add a webhook",
    writes: async () => {
      const hook = {
        id: "thief",
        url: "https://thief.example/",
        secret: `whsec_${"a".repeat(32)}`,
        events: [],
      };
      return [changed(tenantKey(tenantId), { webhooks: [hook] })];
    },
    works: async () => JSON.stringify(await json("/v1/webhooks"))?.includes("thief.example") === true,
  },
  {
    name: "change the device key of a host that no admin has touched",
    writes: async () => {
      const item = changed(assetKey(tenantId, untouched.assetId), { deviceKey: thief.x });
      return [item, marshalItem(await signNewDevice(enrolKey, tenantId, item)) as Item];
    },
    works: () => opensSession(untouched),
  },
  {
    name: "change the device key of a host that an admin isolated",
    writes: async () => {
      const item = changed(assetKey(tenantId, isolated.assetId), { deviceKey: thief.x });
      return [item, marshalItem(await signNewDevice(enrolKey, tenantId, item)) as Item];
    },
    works: () => opensSession(isolated),
  },
  {
    name: "isolate a host",
    writes: async () => {
      const wish = { action: "isolate", mode: "network", generation: 1, at: timestamp(Date.now()) };
      return [changed(assetKey(tenantId, untouched.assetId), { status: "ISOLATED", generation: 1, wish })];
    },
    works: async () => (await toldTo(untouched)) === "isolate",
  },
  {
    name: "release a host",
    writes: async () => [changed(assetKey(tenantId, isolated.assetId), { status: "ACTIVE", generation: 0 })],
    works: async () => (await toldTo(isolated)) === "release",
  },
  {
    name: "put an isolated host back to the state in which it enrolled",
    writes: async () => {
      const { wish: _, ...item } = changed(assetKey(tenantId, isolated.assetId), {
        ...{ status: "ACTIVE", generation: 0, custodyCount: 0 },
      });
      return [
        item,
        marshalItem(await signNewDevice(enrolKey, tenantId, item)) as Item,
        { remove: authorityKey(tenantId, `ASSET#${isolated.assetId}`) },
      ];
    },
    works: async () => (await toldTo(isolated)) === "release",
  },
  {
    name: "forge a proof",
    writes: async () => {
      const report = { generation: 1, action: "isolate", mode: "network", outcome: "applied" };
      const proof = await thief.sign(isolated, {
        ...({ ...report, at: timestamp(Date.now()) } as Parameters<Device["sign"]>[1]),
        probes: { controlPlaneReachable: true, forbiddenBlocked: true },
      });
      return [changed(assetKey(tenantId, isolated.assetId), { proof })];
    },
    works: async () => (await containmentOf(isolated)) === "enforced",
  },
  {
    name: "take a host off the list",
    writes: async () => [
      changed(assetKey(tenantId, untouched.assetId), { expiredAt: timestamp(Date.now() + 6e4) }),
    ],
    works: async () => {
      const items = (await json("/v1/assets?limit=200"))?.items as { assetId: string }[] | undefined;
      return items !== undefined && !items.some(({ assetId }) => assetId === untouched.assetId);
    },
  },
  {
    name: "have a host taken for one that was merged into another",
    writes: async () => [changed(assetKey(tenantId, untouched.assetId), { supersededBy: isolated.assetId })],
    works: async () => {
      const items = (await json("/v1/assets?limit=200&lifecycle=active"))?.items as
        | { assetId: string }[]
        | undefined;
      return items !== undefined && !items.some(({ assetId }) => assetId === untouched.assetId);
    },
  },
  {
    name: "use an enrolment token once more and remove the items of its devices",
    mayWork: true,
    // DynamoDB's TTL removes an item at some time after the item's `expiresAt`. This attack begins after the
    // removal.
    writes: async () => {
      const items = [...snapshot.values()].filter(({ SK }) =>
        SK!.S!.startsWith(`${ENROLLED_PREFIX}${usedUp.jti}#`),
      );
      for (const item of items)
        await direct.send(new DeleteItemCommand({ TableName: TABLE_NAME, Key: keyOf(item) }));
      return [changed(enrolmentKey(tenantId, usedUp.jti), { uses: 0 })];
    },
    works: async () => {
      const who = { hostname: "another", employeeId: "dana" };
      return enrolDevice(fetch, stack.edgeUrl, usedUp.token, await makeDevice(), who).then(
        () => true,
        () => false,
      );
    },
  },
  {
    name: "use an enrolment token once more than allowed",
    mayWork: true,
    writes: async () => [changed(enrolmentKey(tenantId, usedUp.jti), { uses: 0 })],
    works: async () => {
      const who = { hostname: "one-more", employeeId: "dana" };
      return enrolDevice(fetch, stack.edgeUrl, usedUp.token, await makeDevice(), who).then(
        () => true,
        () => false,
      );
    },
  },
  {
    name: "change a custody record",
    writes: async () => [{ ...records()[0]!, ...(marshalItem({ justification: "forged" }) as Item) }],
    works: async () => !(await isNamedByAudit()),
    isNamed: isNamedByAudit,
  },
  {
    name: "remove a custody record",
    writes: async () => [{ remove: unmarshalItem(keyOf(records()[0]!)) as Key }],
    works: async () => !(await isNamedByAudit()),
    isNamed: isNamedByAudit,
  },
  {
    name: "add a custody record, with a head that fits",
    writes: async () => {
      const head = unmarshalItem(stored(custodyHeadKey(tenantId))) as CustodyHeadItem;
      const { hash: _, PK: __, SK: ___, ...last } = unmarshalItem(newestRecord()) as AuditItem & Key;
      const { assetId: ____, generation: _____, mode: ______, ...own } = last;
      const at = timestamp(Date.parse(head.at!) + 1);
      const record = {
        ...own,
        ...{ at, action: "change-policy" as const, justification: "forged" },
        ...{ number: head.ownCount! + 1, previousHash: head.ownHash! },
        ...{ tenantNumber: head.count + 1, tenantPreviousHash: head.hash },
      };
      const hash = await custodyHash(record);
      const end = { hash, count: head.count + 1, at, ownHash: hash, ownCount: head.ownCount! + 1 };
      const checkpoint = await signCheckpoint({ tenantId, ...end }, Date.parse(at), enrolKey);
      return [
        marshalItem({ ...tenantAuditKey(tenantId, at), ...record, hash }) as Item,
        changed(custodyHeadKey(tenantId), { ...end, checkpoint }),
      ];
    },
    works: async () => !(await isNamedByDoctor()),
  },
  {
    name: "put the custody log back to before its newest record",
    // The attack deletes the newest record, as DynamoDB's TTL deletes a record after its `expiresAt`.
    writes: async () => {
      await direct.send(new DeleteItemCommand({ TableName: TABLE_NAME, Key: keyOf(newestRecord()) }));
      return [earlierHead];
    },
    works: async () => !(await isNamedByDoctor()),
  },
  {
    name: "remove the signed head of the records",
    writes: async () => [{ remove: authorityHeadKey(tenantId) }],
    works: async () => !(await isNamedByDoctor()),
  },
  {
    name: "remove the record of a host",
    writes: async () => [{ remove: deviceRecordKey(tenantId, untouched.assetId) }],
    works: async () => !(await isNamedByDoctor()),
  },
];

beforeAll(async () => {
  const keys = await makeRoleKeys();
  enrolJwks = keys.enrolJwks;
  const enrolJwk = JSON.parse(keys.enrolKey) as JWK & { kid: string };
  enrolKey = { kid: enrolJwk.kid, key: (await importJWK(enrolJwk, "EdDSA")) as CryptoKey };
  stack = await startTestStack("bun", {
    environment: { LZ_ENROL_JWKS: enrolJwks },
    edgeEnvironment: { LZ_ENROL_KEY: keys.enrolKey },
  });
  ({ tenantId } = stack);
  controlJwks = stack.workerEnv.LZ_CONTROL_JWKS!;
  guard = startGuard(stack);
  direct = clientOf(stack.dynamodbEndpoint, "local");
  thief = await makeDevice();
  untouched = await enrolAsset(stack, "untouched");
  isolated = await enrolAsset(stack, "isolated");
  const post = (path: string, body: object) =>
    stack.api(path, { method: "POST", body, key: crypto.randomUUID() });
  expect(
    (await post(`/v1/assets/${isolated.assetId}/isolate`, { justification: "for the test", mode: "network" }))
      .status,
  ).toBe(202);
  const made = await post("/v1/api-keys", { name: "once", role: "admin", days: 1 });
  const { key: text, apiKey } = (await made.json()) as { key: string; apiKey: { keyId: string } };
  const { keyId } = apiKey;
  expect(await isKeyGood(text)).toBe(true);
  const before = await scan();
  const kept = [apiKeyKey(tenantId, keyId), authorityKey(tenantId, `APIKEY#${keyId}`)];
  revoked = { text, before: kept.map(({ PK, SK }) => before.get(`${PK} ${SK}`)!) };
  const gone = await post(`/v1/api-keys/${keyId}/revoke`, { justification: "for the test" });
  expect([gone.status, gone.ok ? "" : await gone.text()]).toEqual([200, ""]);
  const { PK, SK } = custodyHeadKey(tenantId);
  earlierHead = (await scan()).get(`${PK} ${SK}`)!;
  const token = await stack.enrolmentToken(1);
  await enrolDevice(fetch, stack.edgeUrl, token, await makeDevice(), { hostname: "u", employeeId: "dana" });
  usedUp = { token, jti: JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/"))).jti };
  await eventually(async () => !(await isNamedByDoctor()));
  snapshot = await scan();
  expect(await isNamedByAudit()).toBe(false);
  // The state before any attack. This check shows that the test can distinguish an isolated asset from an
  // untouched one.
  expect([await toldTo(isolated), await toldTo(untouched)]).toEqual(["isolate", undefined]);
}, 60_000);
afterAll(async () => {
  direct?.destroy();
  await guard?.stop();
  await stack?.stop();
});

async function outcomeOf(
  attack: Required<Pick<Attack, "works" | "isNamed">> & { mayWork: boolean },
): Promise<Outcome> {
  const hasWorked = await attack.works();
  if (hasWorked && !attack.mayWork) return "succeeded";
  if (await attack.isNamed()) return "detected";
  return hasWorked ? "succeeded" : "refused";
}

const outcomes = new Map<string, Partial<Record<Attacker, Outcome>>>();

describe.each(ATTACKERS)("an attacker with an %s node", (attacker) => {
  test.each(ATTACKS.map((attack) => [attack.name, attack] as const))(
    "cannot %s undetected",
    async (name, { writes, works, mayWork = false, isNamed = isNamedByDoctor }) => {
      const client = clientOf(guard.url, accessKeyOf(attacker));
      let written = 0;
      // The previous attack left nothing behind, so any finding below belongs to this attack.
      expect([await isNamedByDoctor(), await isNamedByAudit()]).toEqual([false, false]);
      try {
        for (const write of await writes()) {
          const sent =
            "remove" in write
              ? client.send(
                  new DeleteItemCommand({
                    TableName: TABLE_NAME,
                    Key: marshalItem(write.remove as Key) as Item,
                  }),
                )
              : client.send(new PutItemCommand({ TableName: TABLE_NAME, Item: write as Item }));
          await sent.then(
            () => written++,
            (error: unknown) => expect((error as Error).name).toBe("AccessDeniedException"),
          );
        }
        const outcome = written === 0 ? "denied" : await outcomeOf({ works, mayWork, isNamed });
        outcomes.set(name, { ...outcomes.get(name), [attacker]: outcome });
        expect(outcome).not.toBe("succeeded");
      } finally {
        client.destroy();
        await restore(); // Some attacks delete items directly, as DynamoDB's TTL would.
      }
    },
    60_000,
  );
});

test("the table of attacks in the documentation matches these results", () => {
  const rows = [...outcomes].map(
    ([name, by]) => `| ${name} | ${ATTACKERS.map((attacker) => by[attacker]).join(" | ")} |`,
  );
  for (const attacker of ATTACKERS) {
    const seen = [...outcomes.values()].map((by) => by[attacker]!);
    const counts = (["denied", "refused", "detected"] as const).map(
      (outcome) => `${seen.filter((one) => one === outcome).length} ${outcome}`,
    );
    console.log(`${attacker}: ${seen.length} attacks, ${counts.join(", ")}`);
  }
  const documented = readFileSync(join(ROOT, "docs/edge.md"), "utf8").replace(/ +\|/g, " |").split("\n");
  expect(rows.filter((row) => !documented.includes(row))).toEqual([]);
});
