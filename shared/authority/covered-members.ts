import { base64url, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import { type AttributeMap, unmarshalItem } from "../table/dynamo.ts";

/**
 * Attributes of the table and index keys. Table keys only locate an item, and the worker changes the index
 * keys of pending actions.
 */
const INDEX_MEMBERS = ["PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"];

/**
 * Kinds of items that need a signature, with the members that the signature does not cover. Nodes without the
 * control key write these members, so they must never grant anything. The signature covers all other stored
 * members, including those unknown to this release.
 */
const UNCOVERED: Readonly<Record<string, readonly string[]>> = {
  Tenant: [],
  ApiKey: ["lastUsedAt"],
  Enrolment: ["uses"],
  Approval: [],
  IsolationCount: [],
  // Reports are signed with the device key, so readers can check them without the control key. The custody
  // chain has its own hashes. Acknowledging an incident extends the chain without changing the asset.
  Asset: [
    "proof",
    "unsignedReport",
    "setBack",
    "freedByCode",
    "heardGeneration",
    "custodyHash",
    "custodyCount",
  ],
};

/**
 * True for an item that is only valid with an authority record. An enrolment item without `issued` and
 * `revokedAt` only counts the uses of a token that was never recorded, so it needs no record.
 */
export function needsAuthority(item: AttributeMap): boolean {
  const kind = item.type?.S;
  if (kind === "Enrolment") return item.issued !== undefined || item.revokedAt !== undefined;
  return kind !== undefined && Object.hasOwn(UNCOVERED, kind);
}

/** SHA-256 over the canonical JSON of an item's covered members as stored, in base64url. */
export async function hashOfCovered(item: AttributeMap): Promise<string> {
  const left = new Set([...INDEX_MEMBERS, ...(UNCOVERED[item.type?.S ?? ""] ?? [])]);
  const covered = Object.entries(unmarshalItem(item)).filter(([name]) => !left.has(name));
  const digest = await crypto.subtle.digest("SHA-256", utf8(canonicalJson(Object.fromEntries(covered))));
  return base64url(new Uint8Array(digest));
}
