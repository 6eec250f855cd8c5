import { marshalItem } from "../../../shared/table/dynamo.ts";
import { decodeItem } from "../../../shared/table/items/decode.ts";
import { type SecurityItem, securityItem } from "../../../shared/table/items/security.ts";
import { securityKey } from "../../../shared/table/keys.ts";
import type { Deps } from "../../deps.ts";
import { Icon } from "../components/icon.tsx";

/** The worker's newest check of the tenant's signatures; undefined before the first one. */
export async function readSecurity(
  { dynamo, table }: Pick<Deps, "dynamo" | "table">,
  tenantId: string,
): Promise<SecurityItem | undefined> {
  const { Item } = await dynamo("GetItem", { TableName: table, Key: marshalItem(securityKey(tenantId)) });
  return Item && decodeItem(securityItem, Item);
}

const NAMED_MAX = 3;

/** Says that somebody wrote to the table past the control plane. Nothing when every signature holds. */
export const SignatureFaults = ({ security }: { security: SecurityItem | undefined }) => {
  if (!security || security.faultCount === 0) return null;
  const named = security.faults.slice(0, NAMED_MAX).map(({ item }) => item);
  const more = security.faultCount - named.length;
  return (
    <div class="strip critical" role="alert" id="signature-faults">
      <Icon name="critical" />
      <div>
        <p>
          {security.faultCount === 1 ? "A stored item is" : `${security.faultCount} stored items are`} not
          what an administrator, or the host itself, signed. Someone may have written to the table directly.
        </p>
        <p>
          {named.join(", ")}
          {more > 0 && ` and ${more} more`}. Until restored,{" "}
          {security.faultCount === 1 ? "it does" : "they do"} not count. Run <code>lz doctor</code> to see
          why.
        </p>
      </div>
    </div>
  );
};
