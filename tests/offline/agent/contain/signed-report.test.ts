import { afterEach, expect, test } from "bun:test";
import { createSignedReport } from "../../../../agent/contain/signed-report.ts";
import { openDeviceKey } from "../../../../agent/identity/device-identity.ts";
import { silent } from "../../../../agent/platform/log.ts";
import { uncontained } from "../../../../agent/report/compose-heartbeat.ts";
import type { ContainmentReport } from "../../../../shared/wire/heartbeat.ts";
import { isSignedReport } from "../../../../shared/wire/report-signature.ts";
import { ASSET, removeTemporaryDirectories, TENANT, temporaryDirectory } from "../report/send-edge.ts";

afterEach(removeTemporaryDirectories);

const HOST = { tenantId: TENANT, assetId: ASSET };
const REPORT: ContainmentReport = {
  generation: 1,
  action: "isolate",
  mode: "network",
  outcome: "applied",
  at: "2026-11-22T11:00:00.000Z",
};

test("createSignedReport() signs each report with the device key, for this tenant and asset", async () => {
  const device = await openDeviceKey(temporaryDirectory(), process.platform);
  let report = REPORT;
  const signed = createSignedReport(() => report, device, HOST, silent);
  expect(await signed()).toMatchObject(REPORT);
  expect(await isSignedReport(device.x, HOST, await signed())).toBe(true);
  report = { ...REPORT, outcome: "failed" };
  expect((await signed()).outcome).toBe("failed");
  expect(await isSignedReport(device.x, HOST, await signed())).toBe(true);
});

test("createSignedReport() signs an unchanged report only once, and signs no report before the first directive", async () => {
  const { privateKey } = await openDeviceKey(temporaryDirectory(), process.platform);
  const before = uncontained("2026-11-22T10:00:00.000Z");
  let report = before;
  const signed = createSignedReport(() => report, { privateKey }, HOST, silent);
  expect(await signed()).toBe(before);
  report = REPORT;
  const first = await signed();
  expect(await signed()).toBe(first);
  report = { ...REPORT };
  expect(await signed()).not.toBe(first);
  expect(await signed()).toEqual(first);
});

test("createSignedReport() returns an unsigned report and logs it if signing fails, and signs it the next time", async () => {
  const { x, privateKey } = await openDeviceKey(temporaryDirectory(), process.platform);
  const { publicKey } = (await crypto.subtle.generateKey("Ed25519", true, [
    "sign",
    "verify",
  ])) as CryptoKeyPair;
  const keys = [publicKey, privateKey];
  const device = {
    get privateKey() {
      return keys.shift()!;
    },
  };
  const told: string[] = [];
  const signed = createSignedReport(
    () => REPORT,
    device,
    HOST,
    (level, event) => void told.push(`${level} ${event}`),
  );
  expect(await signed()).toEqual(REPORT);
  expect(told).toEqual(["error containment.report-unsigned"]);
  expect(await isSignedReport(x, HOST, await signed())).toBe(true);
  expect(told).toHaveLength(1);
});
