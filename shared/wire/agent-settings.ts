import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose";
import { z } from "zod";
import { tenantId } from "../ids.ts";
import { type ControlKey, ISSUER, signStatement } from "./sign-statement.ts";

/** Settings that an agent takes from its tenant. Unknown ones are ignored, so that an older agent keeps working. */
export const agentSettings = z.object({
  heartbeatIntervalMs: z.int().min(1000).max(600_000),
  clientDirectories: z.boolean(),
});
export type AgentSettings = z.infer<typeof agentSettings>;

/** Settings of a tenant that no admin has configured, and of an agent that has verified none. */
export const AGENT_SETTINGS_DEFAULT: AgentSettings = { heartbeatIntervalMs: 5000, clientDirectories: false };

export const SETTINGS_TYPE = "lz-agent-settings+jwt";

export const settingsClaims = agentSettings.extend({
  tenant: tenantId,
  /** Milliseconds since the epoch of the change, later than that of every change of the tenant before. */
  version: z.int().positive(),
});
export type SettingsClaims = z.infer<typeof settingsClaims>;

/** Settings for the agents of a tenant, as compact JWS (RFC 7515, EdDSA): nodes that hand them on cannot change them. */
export const signAgentSettings = (control: ControlKey, settings: SettingsClaims): Promise<string> =>
  signStatement(control, SETTINGS_TYPE, settings);

/** Settings that one of these control keys signed for this very tenant. Throws otherwise. */
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
