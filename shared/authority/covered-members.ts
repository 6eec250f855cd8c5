import { base64url, utf8 } from "../encoding/bytes.ts";
import { canonicalJson } from "../encoding/canonical-json.ts";
import { type AttributeMap, unmarshalItem } from "../table/dynamo.ts";

/** Keys and index keys say where an item is found, and the worker changes those of an open action. */
const INDEX_MEMBERS = ["PK", "SK", "GSI1PK", "GSI1SK", "GSI2PK", "GSI2SK"];

/**
 * Kinds of items that grant or decide, and the members of each that nodes without the control key write. Those are
 * not covered by the signature: nothing may be granted because of them. Everything else that is stored is covered,
 * members unknown to this release too.
 */
const UNCOVERED: Readonly<Record<string, readonly string[]>> = {
  Tenant: [],
  ApiKey: ["lastUsedAt"],
  Enrolment: ["uses"],
  Approval: [],
  IsolationCount: [],
  // The device key signs reports, so readers can check them without the control key. The chain of custody records
  // proves itself, and an acknowledgement of an incident adds to it without deciding anything about the asset.
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
 * True for an item that counts only with an authority record. An enrolment item without `issued` or `revokedAt` only
 * counts the uses of a token that was never recorded.
 */
export function needsAuthority(item: AttributeMap): boolean {
  const kind = item.type?.S;
  if (kind === "Enrolment") return item.issued !== undefined || item.revokedAt !== undefined;
  return kind !== undefined && Object.hasOwn(UNCOVERED, kind);
}

/** Base64url SHA-256 over the canonical JSON of an item's covered members, as they are stored. */
export async function hashOfCovered(item: AttributeMap): Promise<string> {
  const left = new Set([...INDEX_MEMBERS, ...(UNCOVERED[item.type?.S ?? ""] ?? [])]);
  const covered = Object.entries(unmarshalItem(item)).filter(([name]) => !left.has(name));
  const digest = await crypto.subtle.digest("SHA-256", utf8(canonicalJson(Object.fromEntries(covered))));
  return base64url(new Uint8Array(digest));
}
