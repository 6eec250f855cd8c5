import { describe, expect, test } from "bun:test";
import type { Identity } from "../../../../agent/identity/device-identity.ts";
import { takeSettings, withFirstSettings } from "../../../../agent/identity/tenant-settings.ts";
import { signAuthority } from "../../../../shared/authority/sign-authority.ts";
import { AGENT_SETTINGS_DEFAULT, signAgentSettings } from "../../../../shared/wire/agent-settings.ts";
import { makeSigningKey } from "../../../support/control/authority.ts";

const TENANT = "org_a";
const control = await makeSigningKey("control-1");
const stranger = await makeSigningKey("control-1");
const SETTINGS = { heartbeatIntervalMs: 7000, clientDirectories: true };
const IDENTITY = {
  ...{ v: 1 as const, edgeUrl: "https://lz.example", employeeId: "dana" },
  ...{ tenantId: TENANT, assetId: "01M807NRG7BVMVH9SM4YAEXFPG" },
  jwks: control.jwks as Identity["jwks"],
  settings: AGENT_SETTINGS_DEFAULT,
} satisfies Identity;
const sign = (version: number, more: object = {}, { key } = control) =>
  signAgentSettings(key, { tenant: TENANT, version, ...SETTINGS, ...more });
const IN_USE: Identity = { ...IDENTITY, settings: SETTINGS, settingsVersion: 20 };

describe("settings of the tenant", () => {
  test("are accepted with their version if a pinned key signed them", async () => {
    expect(await takeSettings(IDENTITY, await sign(20))).toEqual({ is: "taken", identity: IN_USE });
  });

  test("that are already in use change nothing", async () => {
    expect(await takeSettings(IN_USE, await sign(20))).toEqual({ is: "known" });
  });

  test("that are newer replace those in use, and older ones are rejected afterwards", async () => {
    const quiet = { clientDirectories: false };
    const verdict = await takeSettings(IN_USE, await sign(21, quiet));
    const next: Identity = { ...IN_USE, settings: { ...SETTINGS, ...quiet }, settingsVersion: 21 };
    expect(verdict).toEqual({ is: "taken", identity: next });
    expect(await takeSettings(next, await sign(20))).toEqual({
      is: "refused",
      reason: "they are older than those in use",
    });
  });

  test("with the same version but other values are rejected", async () => {
    expect(await takeSettings(IN_USE, await sign(20, { clientDirectories: false }))).toMatchObject({
      is: "refused",
    });
  });

  test.each<[string, () => Promise<string>]>([
    ["another key signed", () => sign(30, {}, stranger)],
    ["are for another tenant", () => sign(30, { tenant: "org_b" })],
    ["have an interval of an hour", () => sign(30, { heartbeatIntervalMs: 3_600_000 })],
    ["are a text", async () => "nonsense"],
    ["were altered", async () => `${(await sign(30)).slice(0, -4)}AAAA`],
    [
      "are another kind of signed statement",
      async () => {
        const claims = { tenant: TENANT, item: "METADATA", version: 30, hash: "A".repeat(43), ...SETTINGS };
        return (await signAuthority(control.key, claims)).signature;
      },
    ],
  ])("that %s are rejected", async (_, made) => {
    const reason = "no pinned control key signed them for this tenant";
    expect(await takeSettings(IN_USE, await made())).toEqual({ is: "refused", reason });
  });

  test("that are not signed change nothing", async () => {
    expect(await takeSettings(IN_USE, undefined)).toEqual({ is: "absent" });
  });

  test("signed by a rotated key are accepted, and the old key is no longer accepted", async () => {
    const next = await makeSigningKey("control-2");
    const rotated: Identity = { ...IN_USE, jwks: next.jwks as Identity["jwks"] };
    expect(await takeSettings(rotated, await sign(20, {}, next))).toEqual({ is: "known" });
    expect(await takeSettings(rotated, await sign(21, {}, next))).toMatchObject({ is: "taken" });
    expect(await takeSettings(rotated, await sign(22))).toMatchObject({ is: "refused" });
  });
});

describe("right after enrolment", () => {
  /** An identity with unsigned settings, which a malicious edge could send. */
  const told: Identity = { ...IDENTITY, settings: SETTINGS };

  test("signed settings are used, and unsigned ones in the same response are ignored", async () => {
    const signed = await sign(20, { clientDirectories: false });
    expect(await withFirstSettings(told, signed)).toMatchObject({
      settings: { heartbeatIntervalMs: 7000, clientDirectories: false },
      settingsVersion: 20,
    });
  });

  test.each([undefined, "nonsense"])(
    "without valid signed settings (%s) the defaults are used",
    async (signed) => {
      const fresh = await withFirstSettings({ ...told, settingsVersion: 9 }, signed);
      expect(fresh.settings).toEqual({ heartbeatIntervalMs: 5000, clientDirectories: false });
      expect(fresh).not.toHaveProperty("settingsVersion");
    },
  );
});
