import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, sign as signWithNode } from "node:crypto";
import { makeDevice } from "../../../../lz/platform/simulated-agents.ts";
import { fromUtf8 } from "../../../../shared/encoding/bytes.ts";
import { type ContainmentReport, containmentReport } from "../../../../shared/wire/heartbeat.ts";
import { isSignedReport, reportBytes, signReport } from "../../../../shared/wire/report-signature.ts";
import { signRequest } from "../../../../shared/wire/signature.ts";

const HOST = { tenantId: "org_a", assetId: "01M807NRG7BVMVH9SM4YAEXFPG" };
const REPORT: ContainmentReport = {
  generation: 3,
  action: "isolate",
  mode: "stop-engines",
  stopEnginesBy: "terminate",
  outcome: "applied",
  at: "2026-11-22T11:00:00.000Z",
  reason: "2 processes were terminated: \u00e4\ud83d\ude80",
  probes: { controlPlaneReachable: true, forbiddenBlocked: null },
};

describe("reportBytes()", () => {
  test("reportBytes() is a label line and canonical JSON of the whole report", () => {
    expect(fromUtf8(reportBytes(HOST, REPORT))).toBe(
      "lifecyclezero containment report 1\n" +
        '{"asset":"01M807NRG7BVMVH9SM4YAEXFPG","report":{"action":"isolate","at":"2026-11-22T11:00:00.000Z",' +
        '"generation":3,"mode":"stop-engines","outcome":"applied",' +
        '"probes":{"controlPlaneReachable":true,"forbiddenBlocked":null},' +
        '"reason":"2 processes were terminated: \u00e4\ud83d\ude80","stopEnginesBy":"terminate"},"tenant":"org_a"}',
    );
  });

  test("reportBytes() does not depend on the order of members, the signature or additional stored members", () => {
    const turned = Object.fromEntries(Object.entries(REPORT).toReversed()) as ContainmentReport;
    const kept = { ...turned, signature: "A".repeat(86), signedBy: "A".repeat(43) };
    expect(reportBytes(HOST, kept)).toEqual(reportBytes(HOST, REPORT));
  });

  test("reportBytes() differs with every field, so the signature covers all of them", () => {
    const others: Required<Omit<ContainmentReport, "signature">> = {
      generation: 4,
      action: "release",
      mode: "network",
      stopEnginesBy: "suspend",
      outcome: "failed",
      at: "2026-11-22T11:00:00.001Z",
      reason: "another",
      probes: { controlPlaneReachable: false, forbiddenBlocked: null },
    };
    expect(Object.keys(others).sort()).toEqual(
      Object.keys(containmentReport.shape)
        .filter((name) => name !== "signature")
        .sort(),
    );
    const texts = Object.entries(others).flatMap(([name, value]) => [
      fromUtf8(reportBytes(HOST, { ...REPORT, [name]: value })),
      fromUtf8(reportBytes(HOST, { ...REPORT, [name]: undefined })),
    ]);
    expect(new Set([...texts, fromUtf8(reportBytes(HOST, REPORT))]).size).toBe(texts.length + 1);
  });
});

describe("isSignedReport()", () => {
  test("isSignedReport() accepts signatures of signReport(), which are valid on the wire and deterministic", async () => {
    const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    const signed = await signReport(pair.privateKey, HOST, REPORT);
    expect(containmentReport.parse(signed)).toEqual(signed);
    expect(await isSignedReport(x!, HOST, containmentReport.parse(JSON.parse(JSON.stringify(signed))))).toBe(
      true,
    );
    expect(await signReport(pair.privateKey, HOST, REPORT)).toEqual(signed);
  });

  test("isSignedReport() accepts a signature of another implementation of Ed25519", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const { x } = publicKey.export({ format: "jwk" });
    const signature = signWithNode(null, reportBytes(HOST, REPORT), privateKey).toString("base64url");
    expect(await isSignedReport(x!, HOST, { ...REPORT, signature })).toBe(true);
  });

  test("isSignedReport() refuses another host, another key, and missing or invalid keys and signatures", async () => {
    const [device, other] = [await makeDevice(), await makeDevice()];
    const signed = await device.sign(HOST, REPORT);
    const { signature = "", ...bare } = signed;
    const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
    const refused: [string, typeof HOST, ContainmentReport][] = [
      [device.x, { ...HOST, tenantId: "org_b" }, signed],
      [device.x, { ...HOST, assetId: "01M807NRG7BVMVH9SM4YAEXFPH" }, signed],
      [other.x, HOST, signed],
      [device.x, HOST, bare],
      [device.x, HOST, { ...bare, signature: flipped }],
      [device.x, HOST, { ...bare, signature: "" }],
      [device.x, HOST, { ...bare, signature: "=" }],
      [device.x, HOST, { ...bare, signature: `${signature}AAAA` }],
      ["A".repeat(42), HOST, signed],
      [`${"_".repeat(42)}8`, HOST, signed],
      ["", HOST, signed],
    ];
    for (const [key, host, report] of refused) expect(await isSignedReport(key, host, report)).toBe(false);
    expect(await isSignedReport(device.x, HOST, signed)).toBe(true);
  });

  test("isSignedReport() refuses a request signature of the device", async () => {
    const device = await makeDevice();
    const body = reportBytes(HOST, REPORT);
    const request = { method: "POST", path: "/v1/session", body };
    const headers = await signRequest(device.signer(device.x), request, 1_790_000_000);
    const signature = Buffer.from(headers.signature.slice(4, -1), "base64").toString("base64url");
    expect(containmentReport.safeParse({ ...REPORT, signature }).success).toBe(true);
    expect(await isSignedReport(device.x, HOST, { ...REPORT, signature })).toBe(false);
  });
});

test("the heartbeat schema accepts only the canonical spelling of a 64-byte signature", () => {
  const good = `${"A".repeat(85)}Q`;
  for (const [signature, isGood] of [
    [good, true],
    [good.slice(1), false],
    [`A${good}`, false],
    [`${"A".repeat(85)}B`, false],
    [`${"A".repeat(84)}+Q`, false],
    ["", false],
  ] as const)
    expect([signature, containmentReport.safeParse({ ...REPORT, signature }).success]).toEqual([
      signature,
      isGood,
    ]);
});
