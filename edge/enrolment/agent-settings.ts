import { decodeItem } from "../../shared/table/items/decode.ts";
import { tenantDefaults, tenantItem } from "../../shared/table/items/tenant.ts";
import { tenantKey } from "../../shared/table/keys.ts";
import type { AgentSettings } from "../../shared/wire/agent-settings.ts";
import type { Deps } from "../deps.ts";

/**
 * Reads the settings for agents of a tenant: plain for agents older than signed settings, and signed by the control key.
 * `signedSettings` is absent for a tenant that no admin has configured. This node only forwards the signed settings.
 *
 * @throws AuthorityFault if the signature of the tenant's item does not verify
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
