/** `typ` of each JWS keeps one kind of record from passing for another (RFC 8725 section 3.11). */
export const AUTHORITY_TYPE = "lz-authority+jwt";
export const DEVICE_TYPE = "lz-device+jwt";
export const HEAD_TYPE = "lz-authority-head+jwt";

/** Why an item does not count. `missing` and `mismatch` may be a read between two writes: read again first. */
export const AUTHORITY_FAULTS = {
  unsigned: "it has no authority record",
  removed: "its authority record exists, the item does not",
  signature: "the signature of its authority record is wrong",
  mismatch: "it is not what was signed",
  misplaced: "its authority record is about another item",
  notNew: "an enrol key signed more than a new device",
  deviceKey: "an enrol key gave the asset to another device key",
  head: "the head of the tenant's authority records is missing or not signed",
  count:
    "the tenant's authority records are not those of the signed head: one was removed, added or put back",
  agentSettings: "the settings that its authority record gives to agents are not signed, or differ",
  proof: "its proof has no valid signature of the host's device key",
  custody: "the custody log was cut, added to or rewritten: its end is not what the control key signed",
  uses: "more devices enrolled with it than it counts",
  rolledBack: "the tenant's authority records are older than before",
} as const;
export type AuthorityFaultCode = keyof typeof AUTHORITY_FAULTS;

/** An item that grants or decides cannot be trusted. `item`: its sort key. */
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
