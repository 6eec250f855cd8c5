import { AGENT_SETTINGS_DEFAULT, verifyAgentSettings } from "../../shared/wire/agent-settings.ts";
import type { Identity } from "./device-identity.ts";

export type SettingsVerdict =
  | { is: "taken"; identity: Identity }
  /** The settings are already in use. */
  | { is: "known" }
  /**
   * The control plane sent no signed settings. Either its version is too old, or no administrator has
   * configured the tenant.
   */
  | { is: "absent" }
  | { is: "refused"; reason: string };

/**
 * Returns the identity with new settings, if a pinned control key signed them for this tenant and they are
 * newer than the settings in use. So an edge node without the control key cannot enable a feature that an
 * administrator left off, and cannot slow down the heartbeats.
 */
export async function takeSettings(identity: Identity, jws: string | undefined): Promise<SettingsVerdict> {
  if (jws === undefined) return { is: "absent" };
  const { jwks, tenantId } = identity;
  const verified = await verifyAgentSettings(jws, jwks, tenantId).catch(() => undefined);
  if (!verified) return { is: "refused", reason: "no pinned control key signed them for this tenant" };
  const { heartbeatIntervalMs, clientDirectories, version } = verified;
  const settings = { heartbeatIntervalMs, clientDirectories };
  const known = identity.settingsVersion;
  if (known !== undefined && version < known)
    return { is: "refused", reason: "they are older than those in use" };
  if (known === version) {
    const isSame = JSON.stringify(settings) === JSON.stringify(identity.settings);
    return isSame
      ? { is: "known" }
      : { is: "refused", reason: "they differ from the settings in use with the same version" };
  }
  return { is: "taken", identity: { ...identity, settings, settingsVersion: version } };
}

/** The identity right after enrolment: with verified settings, or with the defaults. */
export async function withFirstSettings(identity: Identity, jws: string | undefined): Promise<Identity> {
  const { settingsVersion: _, ...fresh } = identity;
  const plain: Identity = { ...fresh, settings: AGENT_SETTINGS_DEFAULT };
  const verdict = await takeSettings(plain, jws);
  return verdict.is === "taken" ? verdict.identity : plain;
}
