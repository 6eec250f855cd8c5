import { auditAuthority } from "../../shared/authority/audit-authority.ts";
import { AUTHORITY_FAULTS, type AuthorityFaultCode } from "../../shared/authority/types.ts";
import { createVerifier } from "../../shared/authority/verify-authority.ts";
import type { Deps } from "../platform/deps.ts";
import { publicKeys } from "../platform/key-file.ts";
import type { OpenTable } from "../platform/open-table.ts";
import { bad, type Check, good, note } from "./check.ts";

const NAMED_MAX = 5;

/** Verifies the signatures of all items of a tenant that grant rights or contain decisions. */
export async function checkSignatures(
  { dynamo, table }: Pick<OpenTable, "dynamo" | "table">,
  tenantId: string,
  { env, clock }: Pick<Deps, "env" | "clock">,
): Promise<Check> {
  const control = parseKeys(env.LZ_CONTROL_JWKS);
  if (!control) return note("signatures", "not checked", "set LZ_CONTROL_JWKS to the public control keys");
  const verifier = createVerifier(control, parseKeys(env.LZ_ENROL_JWKS));
  const nowSeconds = Math.floor(clock() / 1000);
  try {
    const { items, faults, byKid } = await auditAuthority(
      { dynamo, table },
      { tenantId, verifier, nowSeconds },
    );
    if (faults.length > 0)
      return bad("signatures", describe(faults), 'see "When an item is refused" in docs/rotation.md');
    const kids = Object.entries(byKid).map(([kid, count]) => `${count} by ${kid}`);
    return good(
      "signatures",
      `${items} items of ${tenantId} have valid signatures (${kids.join(", ") || "none"})`,
    );
  } catch (error) {
    const name = error instanceof Error ? error.name : "unknown";
    return bad("signatures", `cannot be checked (${name})`, "allow dynamodb:Query and dynamodb:BatchGetItem");
  }
}

function describe(faults: readonly { item: string; code: AuthorityFaultCode }[]): string {
  const named = faults.slice(0, NAMED_MAX).map(({ item, code }) => `${item}: ${AUTHORITY_FAULTS[code]}`);
  const more = faults.length > NAMED_MAX ? `; and ${faults.length - NAMED_MAX} more` : "";
  return `${named.join("; ")}${more}`;
}

function parseKeys(text: string | undefined) {
  try {
    return publicKeys.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}
