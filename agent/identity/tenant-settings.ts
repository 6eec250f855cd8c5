import { AGENT_SETTINGS_DEFAULT, verifyAgentSettings } from "../../shared/wire/agent-settings.ts";
import type { Identity } from "./device-identity.ts";

export type SettingsVerdict =
  | { is: "taken"; identity: Identity }
  /** Those in use. */
  | { is: "known" }
  /** A control plane from before settings were signed, or a tenant that no admin has configured. */
  | { is: "absent" }
  | { is: "refused"; reason: string };

/**
 * The identity with new settings, when a pinned control key signed them for this tenant and they are newer than those
 * in use. A node that only hands them on cannot turn on what an admin left off, nor slow the heartbeats.
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
    return isSame ? { is: "known" } : { is: "refused", reason: "they differ from those of the same version" };
  }
  return { is: "taken", identity: { ...identity, settings, settingsVersion: version } };
}

/** The identity as it is right after enrolment: with verified settings, or the defaults. */
export async function withFirstSettings(identity: Identity, jws: string | undefined): Promise<Identity> {
  const { settingsVersion: _, ...fresh } = identity;
  const plain: Identity = { ...fresh, settings: AGENT_SETTINGS_DEFAULT };
  const verdict = await takeSettings(plain, jws);
  return verdict.is === "taken" ? verdict.identity : plain;
}
