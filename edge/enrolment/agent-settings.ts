import { decodeItem } from "../../shared/table/items/decode.ts";
import { tenantDefaults, tenantItem } from "../../shared/table/items/tenant.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import type { AgentSettings } from "../../shared/wire/agent-settings.ts";
import type { EnrolmentDeps } from "./deps.ts";

/**
 * Reads a tenant's settings for agents. The result contains the settings unsigned, for agents that do not
 * support signed settings, and signed with the control key. `signedSettings` is absent if no administrator
 * has configured the tenant. This node only forwards the signed settings.
 *
 * @throws AuthorityFault if the signature of the tenant's item is not valid
 */
export async function readAgentSettings(
  { authority }: Pick<EnrolmentDeps, "authority">,
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
