import { decodeItem } from "../../shared/table/items/decode.ts";
import { tenantDefaults, tenantItem } from "../../shared/table/items/tenant.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import type { AgentSettings } from "../../shared/wire/agent-settings.ts";
import type { Deps } from "../deps.ts";

/**
 * Settings for an agent: plain for agents from before the signature, and as the control key signed them. This node
 * hands the signed ones on and cannot make them. A tenant that no admin has configured has none.
 *
 * @throws AuthorityFault when the tenant's settings are not what was signed
 */
export async function readAgentSettings(
  { authority }: Pick<Deps, "authority">,
  tenantId: string,
): Promise<{ settings: AgentSettings; signedSettings?: string }> {
  const { item, record } = await authority.readSigned(tenantKey(tenantId));
  const { heartbeatIntervalMs, clientDirectories } = item
    ? decodeItem(tenantItem, item)
    : tenantDefaults(tenantId);
  const signed = item && record?.agentSettings?.S;
  return {
    settings: { heartbeatIntervalMs, clientDirectories },
    ...(signed !== undefined && { signedSettings: signed }),
  };
}
