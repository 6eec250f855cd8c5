import { marshalItem } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type SecurityItem, securityItem } from "../../../shared/table/items/security.ts";
import { securityKey } from "../../../shared/table/keys.ts";
import { Icon } from "../components/icon.tsx";
import type { DashboardDeps } from "../deps.ts";

/**
 * Reads the result of the worker's newest signature check of the tenant's items. Returns undefined before the
 * first check.
 */
export async function readSecurity(
  { dynamo, table }: Pick<DashboardDeps, "dynamo" | "table">,
  tenantId: string,
): Promise<SecurityItem | undefined> {
  const { Item } = await dynamo("GetItem", { TableName: table, Key: marshalItem(securityKey(tenantId)) });
  return Item && decodeItem(securityItem, Item);
}

const NAMED_MAX = 3;

/** Warns that stored items were changed without the control plane. Renders nothing if every signature is valid. */
export const SignatureFaults = ({ security }: { security: SecurityItem | undefined }) => {
  if (!security || security.faultCount === 0) return null;
  const named = security.faults.slice(0, NAMED_MAX).map(({ item }) => item);
  const more = security.faultCount - named.length;
  return (
    <div class="strip critical" role="alert" id="signature-faults">
      <Icon name="critical" />
      <div>
        <p>
          {security.faultCount === 1
            ? "A stored item does not match its signature. Someone may have written to the table directly."
            : `${security.faultCount} stored items do not match their signatures. Someone may have written to the table directly.`}
        </p>
        <p>
          {named.join(", ")}
          {more > 0 && ` and ${more} more`}.{" "}
          {security.faultCount === 1
            ? "The control plane ignores this item until it is restored. "
            : "The control plane ignores these items until they are restored. "}
          Run <code>lz doctor</code> to find the cause.
        </p>
      </div>
    </div>
  );
};
