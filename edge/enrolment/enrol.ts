import { assetIdOf } from "../../shared/authority/asset-id.ts";
import { signNewDevice } from "../../shared/authority/sign-authority.ts";
import { AuthorityFault } from "../../shared/authority/types.ts";
import { base64url, utf8 } from "../../shared/encoding/bytes.ts";
import type { CopySighting } from "../../shared/queue/copy-sighting.ts";
import { type AttributeMap, DynamoFault, marshalItem, values } from "../../shared/table/dynamo.ts";
import { type AssetItem, assetItem } from "../../shared/table/items/asset/asset.ts";
import {
  ASSETS_PER_HARDWARE_MAX,
  type HardwareItem,
  hardwareItem,
} from "../../shared/table/items/asset/hardware.ts";
import { custodyHeadItem } from "../../shared/table/items/custody.ts";
import { decodeItem } from "../../shared/table/items/decode.ts";
import type { EmployeeItem } from "../../shared/table/items/employee.ts";
import { type EnrolmentItem, enrolledItem, enrolmentItem } from "../../shared/table/items/enrolment.ts";
import {
  assetKey,
  assetState,
  custodyHeadKey,
  employeeAssets,
  employeeKey,
  enrolledKey,
  enrolmentKey,
  hardwareKey,
} from "../../shared/table/keys.ts";
import { timestamp } from "../../shared/time/clock.ts";
import { accept, type Refusal, refuse, type Verdict } from "../../shared/verdict.ts";
import {
  type EnrolmentAnswer,
  type EnrolmentClaims,
  type EnrolmentRequest,
  SESSION_SECONDS,
  type SessionAnswer,
  type SessionRequest,
} from "../../shared/wire/enrolment.ts";
import { verifyEnrolmentToken } from "../../shared/wire/enrolment-token.ts";
import { isOtherMachine } from "../../shared/wire/hardware.ts";
import { LIMITS } from "../../shared/wire/heartbeat.ts";
import { parseDeviceKeyid } from "../../shared/wire/keyid.ts";
import {
  contentDigest,
  importDeviceKey,
  isFresh,
  parseSignature,
  type SignatureInput,
  verifySignature,
} from "../../shared/wire/signature.ts";
import { signGrants } from "../control/custody/sign-grants.ts";
import type { Deps } from "../deps.ts";
import type { RateLimit, Taken } from "../http/rate-limit.ts";
import { readBody } from "../http/read-body.ts";
import { CONFLICT_ROUNDS_MAX, conflictPauseMs } from "../platform/conflict-retry.ts";
import { readAgentSettings } from "./agent-settings.ts";

const BODY_BYTES_MAX = 8 * 1024;

/** An authentic request beyond a quota: what the client needs to know to come back in time. */
export type Limited = Refusal & { limit: RateLimit; taken: Taken };

export type Signed = { input: SignatureInput; digest: string; path: string };

/** Signature headers of a request that a device key should have signed; not verified yet. */
function readSigned(request: Request, deps: Deps): Verdict<Signed> {
  const signed = parseSignature(request.headers, "ed25519");
  if (!signed.ok) return signed;
  if (!isFresh(signed.value.createdSeconds, deps.clock(), LIMITS.CLOCK_SKEW_SECONDS_MAX))
    return refuse("wire.stale");
  const digest = request.headers.get("content-digest") ?? "";
  return accept({ input: signed.value, digest, path: new URL(request.url).pathname });
}

async function isSignedBy(deviceKey: string, { input, digest, path }: Signed): Promise<boolean> {
  const key = await importDeviceKey(deviceKey).catch(() => undefined); // 32 bytes that are no point of the curve
  return key !== undefined && (await verifySignature(key, input, { method: "POST", path, digest }));
}

/** The bytes of a request whose signature was verified, if they are the ones that its digest names. */
export async function readSignedBody(
  request: Request,
  { digest }: Signed,
): Promise<Verdict<Uint8Array<ArrayBuffer>>> {
  const bytes = await readBody(request, BODY_BYTES_MAX);
  if (!bytes.ok) return bytes;
  return digest === (await contentDigest(bytes.value)) ? bytes : refuse("wire.bad-signature");
}

/** Who signed an enrolment: the key that the keyid is. Its body is not read yet. */
export async function verifyEnrolment(request: Request, deps: Deps): Promise<Verdict<Signed>> {
  const signed = readSigned(request, deps);
  if (!signed.ok) return signed;
  return (await isSignedBy(signed.value.input.keyid, signed.value)) ? signed : refuse("wire.bad-signature");
}

/** `POST /v1/enroll`: a device that holds a token and its own key becomes an asset of the token's tenant. */
export async function enrol(
  { input }: Signed,
  body: EnrolmentRequest,
  deps: Deps,
): Promise<Verdict<EnrolmentAnswer> | Limited> {
  if (input.keyid !== body.deviceKey) return refuse("wire.bad-signature");
  const claims = await verifyEnrolmentToken(body.token, deps.controlJwks, deps.clock()).catch(
    () => undefined,
  );
  if (!claims) return refuse("enrolment.invalid-token");
  const taken = deps.limits.enrolment.take(`${claims.tenant} ${claims.jti}`);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.enrolment, taken };
  const assetId = await claimUse(claims, body, deps);
  if (!assetId.ok) return assetId;
  const settings = await readAgentSettings(deps, claims.tenant);
  deps.log("info", "asset.enrolled", { tenantId: claims.tenant, assetId: assetId.value });
  return accept({
    tenantId: claims.tenant,
    assetId: assetId.value,
    jwks: deps.controlJwks as EnrolmentAnswer["jwks"],
    ...settings,
  });
}

/** An asset that is still not what was signed after so many reads has been edited. */
const AUTHORITY_ROUNDS = 3;

/**
 * Takes one use of the token and writes the asset, in one transaction. The same device gets the same asset. On one node
 * the uses of a token go one after the other: a thousand hosts that a software distribution starts at once would
 * otherwise lose against each other in the table again and again.
 */
function claimUse(
  claims: EnrolmentClaims & { exp: number },
  body: EnrolmentRequest,
  deps: Deps,
): Promise<Verdict<string>> {
  const claim = () => claimNow(claims, body, deps);
  return deps.turns ? deps.turns(`enrol ${claims.tenant} ${claims.jti}`, claim) : claim();
}

async function claimNow(
  claims: EnrolmentClaims & { exp: number },
  body: EnrolmentRequest,
  deps: Deps,
): Promise<Verdict<string>> {
  const enrolled = (assetId: string, conflicts: number) => {
    const { tenant: tenantId, jti } = claims;
    if (conflicts > 0) deps.log("info", "enrolment.conflicts", { tenantId, assetId, jti, conflicts });
    return accept(assetId);
  };
  for (let round = 0; round < CONFLICT_ROUNDS_MAX; round++) {
    if (round > 0) await deps.pause(conflictPauseMs(round, deps.random(1)[0]! / 255));
    const [stored, used] = await Promise.all([
      deps.authority.read(enrolmentKey(claims.tenant, claims.jti)),
      deps.dynamo("GetItem", {
        TableName: deps.table,
        Key: marshalItem(enrolledKey(claims.tenant, claims.jti, body.deviceKey)),
        ConsistentRead: true,
      }),
    ]);
    const token = stored && decodeItem(enrolmentItem, stored);
    if (token?.revokedAt !== undefined) return refuse("enrolment.invalid-token");
    const known = used.Item && decodeItem(enrolledItem, used.Item).assetId;
    if (known) return accept(known);
    if ((token?.uses ?? 0) >= claims.uses) return refuse("enrolment.used-up");
    try {
      if (claims.asset === undefined) return enrolled(await writeAsset(claims, body, token, deps), round);
      if (!deps.controlKey) return refuse("enrolment.needs-control-key");
      if (await replaceDeviceKey(claims.asset, claims, body, token, deps))
        return enrolled(claims.asset, round);
      return refuse("enrolment.invalid-token");
    } catch (error) {
      // Another node may have changed the asset between its read and this one.
      if (error instanceof AuthorityFault && round < AUTHORITY_ROUNDS) continue;
      if (!(error instanceof DynamoFault) || error.code !== "TransactionCanceledException") throw error;
    }
  }
  throw new Error(`an enrolment had ${CONFLICT_ROUNDS_MAX} optimistic-lock conflicts in a row`);
}

async function writeAsset(
  claims: EnrolmentClaims & { exp: number },
  body: EnrolmentRequest,
  token: EnrolmentItem | undefined,
  deps: Deps,
): Promise<string> {
  const now = deps.clock();
  const { tenant: tenantId } = claims;
  const assetId = await assetIdOf(tenantId, body.deviceKey, now);
  const known = await readHardwareItem(body, tenantId, deps);
  const asset: AssetItem = {
    type: "Asset",
    tenantId,
    assetId,
    employeeId: body.employeeId,
    hostname: body.host.hostname,
    os: body.host.os,
    arch: body.host.arch,
    deviceKey: body.deviceKey,
    enrolledAt: timestamp(now),
    status: "ACTIVE",
    generation: 0,
    custodyCount: 0,
    enrolledWith: claims.jti,
    ...(body.hardware && { hardware: body.hardware }),
    ...(known && { enrolledBefore: known.assets }),
  };
  const employee: EmployeeItem = {
    type: "Employee",
    tenantId,
    employeeId: body.employeeId,
    since: timestamp(now),
  };
  const index = { GSI1PK: employeeAssets(tenantId, body.employeeId), GSI1SK: assetState("ACTIVE") };
  const Item = marshalItem({ ...assetKey(tenantId, assetId), ...index, ...asset });
  const signer = deps.enrolKey ?? deps.controlKey;
  if (!signer) throw new Error("this node holds neither an enrol key nor a control key");
  const record = await signNewDevice(signer, tenantId, Item);
  await deps.dynamo("TransactWriteItems", {
    TransactItems: [
      ...tokenUse(claims, body, assetId, token, deps.table),
      {
        Put: {
          TableName: deps.table,
          Item,
          ConditionExpression: "attribute_not_exists(PK)",
        },
      },
      { Put: { TableName: deps.table, Item: marshalItem(record) } },
      ...hardwareWrites(body, asset, known, deps.table),
      {
        Update: {
          TableName: deps.table,
          Key: marshalItem(employeeKey(tenantId, body.employeeId)),
          UpdateExpression:
            "SET #type = :type, tenantId = :tenantId, employeeId = :employeeId, #since = if_not_exists(#since, :since)",
          ExpressionAttributeNames: { "#type": "type", "#since": "since" },
          ExpressionAttributeValues: values(employee),
        },
      },
    ],
  });
  return assetId;
}

/** Assets that enrolled from the same mainboard. A fingerprint of the operating system says nothing about that. */
async function readHardwareItem(
  { hardware }: EnrolmentRequest,
  tenantId: string,
  { dynamo, table }: Deps,
): Promise<HardwareItem | undefined> {
  if (hardware?.strength !== "board") return undefined;
  const Key = marshalItem(hardwareKey(tenantId, hardware.id));
  const { Item } = await dynamo("GetItem", { TableName: table, Key, ConsistentRead: true });
  return Item && decodeItem(hardwareItem, Item);
}

/** Adds the asset to those of its mainboard, unless another enrolment did so since they were read. */
function hardwareWrites(
  { hardware }: EnrolmentRequest,
  { tenantId, assetId }: AssetItem,
  known: HardwareItem | undefined,
  table: string,
) {
  if (hardware?.strength !== "board") return [];
  const item: HardwareItem = {
    type: "Hardware",
    tenantId,
    assets: [assetId, ...(known?.assets ?? [])].slice(0, ASSETS_PER_HARDWARE_MAX),
    enrolments: (known?.enrolments ?? 0) + 1,
  };
  const Put = {
    TableName: table,
    Item: marshalItem({ ...hardwareKey(tenantId, hardware.id), ...item }),
    ConditionExpression: known ? "enrolments = :before" : "attribute_not_exists(PK)",
    ...(known && { ExpressionAttributeValues: values({ before: known.enrolments }) }),
  };
  return [{ Put }];
}

/** The token with one use more, if nobody used or revoked it since it was read, and the device that took it. */
function tokenUse(
  claims: EnrolmentClaims & { exp: number },
  body: EnrolmentRequest,
  assetId: string,
  token: EnrolmentItem | undefined,
  table: string,
) {
  const { tenant: tenantId, jti, exp } = claims;
  const expiresAt = exp + 24 * 3600;
  const used: EnrolmentItem = {
    type: "Enrolment",
    tenantId,
    jti,
    expiresAt,
    ...token,
    uses: (token?.uses ?? 0) + 1,
  };
  const enrolled = { type: "Enrolled", tenantId, assetId, expiresAt };
  return [
    {
      Put: {
        TableName: table,
        Item: marshalItem({ ...enrolmentKey(tenantId, jti), ...used }),
        ConditionExpression: token
          ? "uses = :uses AND attribute_not_exists(revokedAt)"
          : "attribute_not_exists(PK)",
        ...(token && { ExpressionAttributeValues: values({ uses: token.uses }) }),
      },
    },
    {
      Put: {
        TableName: table,
        Item: marshalItem({ ...enrolledKey(tenantId, jti, body.deviceKey), ...enrolled }),
        ConditionExpression: "attribute_not_exists(PK)",
      },
    },
  ];
}

/**
 * A token that names an asset gives that asset a new device key: the old one opens no session from here on. Only a node
 * with the control key can do that, because the enrol key vouches for new devices alone.
 *
 * @returns false for an asset that does not exist or was revoked
 */
async function replaceDeviceKey(
  assetId: string,
  claims: EnrolmentClaims & { exp: number },
  body: EnrolmentRequest,
  token: EnrolmentItem | undefined,
  deps: Deps,
): Promise<boolean> {
  const { tenant: tenantId, jti } = claims;
  const key = assetKey(tenantId, assetId);
  const stored = await deps.authority.read(key);
  if (!stored || decodeItem(assetItem, stored).revokedAt !== undefined) return false;
  const set = { deviceKey: body.deviceKey, keyRotatedAt: timestamp(deps.clock()) };
  const grant = { key, after: (before: AttributeMap = {}) => ({ ...before, ...marshalItem(set) }) };
  const custody = await deps.dynamo("GetItem", {
    TableName: deps.table,
    Key: marshalItem(custodyHeadKey(tenantId)),
    ConsistentRead: true,
  });
  const version = custody.Item ? decodeItem(custodyHeadItem, custody.Item).count : 0;
  await deps.dynamo("TransactWriteItems", {
    TransactItems: [
      ...tokenUse(claims, body, assetId, token, deps.table),
      ...(await signGrants(
        [grant],
        { tenantId, version, control: deps.controlKey!, nowMs: deps.clock() },
        deps,
      )),
      {
        Update: {
          TableName: deps.table,
          Key: marshalItem(key),
          UpdateExpression: "SET deviceKey = :deviceKey, keyRotatedAt = :now",
          ConditionExpression:
            "deviceKey = :before AND generation = :generation AND attribute_not_exists(revokedAt)",
          ExpressionAttributeValues: values({
            deviceKey: set.deviceKey,
            now: set.keyRotatedAt,
            before: stored.deviceKey!.S!,
            generation: Number(stored.generation!.N),
          }),
        },
      },
    ],
  });
  deps.log("info", "asset.key-rotated", { tenantId, assetId, jti });
  return true;
}

export type SignedSession = Signed & { claimed: { tenantId: string; assetId: string }; asset: AssetItem };

/** Who asks for a session: the asset that the keyid names, by the device key it enrolled with. */
export async function verifySession(request: Request, deps: Deps): Promise<Verdict<SignedSession>> {
  const signed = readSigned(request, deps);
  if (!signed.ok) return signed;
  const claimed = parseDeviceKeyid(signed.value.input.keyid);
  if (!claimed) return refuse("wire.bad-signature");
  const stored = await deps.authority.read(assetKey(claimed.tenantId, claimed.assetId));
  // An asset that does not exist and a wrong key get the same answer, so that a stranger cannot list assets.
  const asset = stored && decodeItem(assetItem, stored);
  if (!asset || !(await isSignedBy(asset.deviceKey, signed.value))) return refuse("wire.bad-signature");
  return accept({ ...signed.value, claimed, asset });
}

/** `POST /v1/session`: the device key earns a session key for an hour. */
export async function openSession(
  { claimed, asset }: SignedSession,
  body: SessionRequest,
  deps: Deps,
): Promise<Verdict<SessionAnswer> | Limited> {
  if (asset.revokedAt) return refuse("asset.revoked");
  if (body.copiedTo !== undefined || isOtherMachine(asset.hardware, body.hardware))
    return refuseCopy(claimed, body, deps);
  const taken = deps.limits.session.take(claimed.assetId);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.session, taken };
  const expiresAtSeconds = Math.floor(deps.clock() / 1000) + SESSION_SECONDS;
  const { keyid, bytes } = await deps.sessionKeys.issue({ ...claimed, expiresAtSeconds });
  const settings = await readAgentSettings(deps, claimed.tenantId);
  const keySet = deps.controlKeySet === undefined ? {} : { keySet: deps.controlKeySet };
  return accept({ keyid, key: base64url(bytes), expiresAtSeconds, ...settings, ...keySet });
}

/**
 * Refuses a session to an identity that is used on another machine than the one that enrolled, and reports the copy to the
 * workers. Has its own rate limit, because copies must not use up the sessions of the machine that enrolled.
 */
async function refuseCopy(
  { tenantId, assetId }: SignedSession["claimed"],
  { copiedTo }: SessionRequest,
  deps: Deps,
): Promise<Refusal | Limited> {
  const taken = deps.limits.session.take(`${assetId} copied`);
  if (!taken.allowed) return { ...refuse("wire.too-many"), limit: deps.limits.session, taken };
  const sighting: CopySighting = { v: 1, copied: copiedTo === undefined ? {} : { hostname: copiedTo } };
  const receivedAt = timestamp(deps.clock());
  await deps.enqueue(tenantId, { assetId, receivedAt, body: utf8(JSON.stringify(sighting)) });
  deps.log("warn", "asset.copied", { tenantId, assetId, hostname: copiedTo });
  return refuse("asset.copied");
}
