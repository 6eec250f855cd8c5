import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { z } from "zod";
import { tenantId } from "../ids.ts";
import { type ControlKey, ISSUER, signStatement } from "./sign-statement.ts";

/** Settings of a tenant for its agents. Agents ignore unknown members, so that older agents continue to work. */
export const agentSettings = z.object({
  heartbeatIntervalMs: z.int().min(1000).max(600_000),
  clientDirectories: z.boolean(),
});
export type AgentSettings = z.infer<typeof agentSettings>;

/**
 * Default settings. They apply if no administrator has configured the tenant, and if the agent has no
 * verified settings.
 */
export const AGENT_SETTINGS_DEFAULT: AgentSettings = { heartbeatIntervalMs: 5000, clientDirectories: false };

export const SETTINGS_TYPE = "lz-agent-settings+jwt";

export const settingsClaims = agentSettings.extend({
  tenant: tenantId,
  /** Time of the change in milliseconds since the epoch. It is higher than in all earlier changes of the tenant. */
  version: z.int().positive(),
});
export type SettingsClaims = z.infer<typeof settingsClaims>;

/**
 * Signs the agent settings of a tenant as compact JWS (RFC 7515, EdDSA), so that the nodes which forward them
 * cannot modify them.
 */
export const signAgentSettings = (control: ControlKey, settings: SettingsClaims): Promise<string> =>
  signStatement(control, SETTINGS_TYPE, settings);

/** Verifies that the settings for this tenant were signed with one of these control keys. Throws otherwise. */
export async function verifyAgentSettings(
  jws: string,
  keys: JSONWebKeySet,
  tenant: string,
): Promise<SettingsClaims> {
  const { payload } = await jwtVerify(jws, createLocalJWKSet(keys), {
    algorithms: ["EdDSA"],
    typ: SETTINGS_TYPE,
    issuer: ISSUER,
  });
  const verified = settingsClaims.parse(payload);
  if (verified.tenant !== tenant) throw new Error("the settings are for another tenant");
  return verified;
}
