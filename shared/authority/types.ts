/** `typ` of each kind of JWS, so that one kind of record cannot be used as another (RFC 8725 section 3.11). */
export const AUTHORITY_TYPE = "lz-authority+jwt";
export const DEVICE_TYPE = "lz-device+jwt";
export const HEAD_TYPE = "lz-authority-head+jwt";

/**
 * Reasons why a signed item is refused. `unsigned` and `mismatch` can be caused by a read between two writes,
 * so read the item again first.
 */
export const AUTHORITY_FAULTS = {
  unsigned: "the item has no authority record",
  removed: "the item is missing, but its authority record exists",
  signature: "the signature of its authority record is not valid",
  mismatch: "the item differs from the signed item",
  misplaced: "its authority record belongs to another item",
  notNew: "an enrol key signed something other than a new device",
  deviceKey: "an enrol key signed the asset with another device key",
  head: "the head of the tenant's authority records is missing or has no valid signature",
  count:
    "the tenant's authority records do not match the signed head: a record was removed, added or restored",
  agentSettings: "the agent settings in its authority record are not signed, or differ from the item",
  proof: "the host's proof has no valid signature from its device key",
  custody: "the custody log was truncated, extended or rewritten: its end does not match the signature",
  uses: "more devices enrolled with the token than its use count shows",
  rolledBack: "the tenant's authority records are older than at the last audit",
} as const;
export type AuthorityFaultCode = keyof typeof AUTHORITY_FAULTS;

/** A signed item cannot be trusted. `item` is its sort key. */
export class AuthorityFault extends Error {
  override name = "AuthorityFault";
  constructor(
    readonly tenantId: string,
    readonly item: string,
    readonly code: AuthorityFaultCode,
    options?: ErrorOptions,
  ) {
    super(`item ${item} of tenant ${tenantId} is refused: ${AUTHORITY_FAULTS[code]}`, options);
  }
}
