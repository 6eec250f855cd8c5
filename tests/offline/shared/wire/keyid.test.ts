import { expect, test } from "bun:test";
import fc from "fast-check";
import { base64url, utf8 } from "../../../../shared/encoding/bytes.ts";
import {
  deriveSessionKey,
  parseDeviceKeyid,
  parseSessionKeyid,
  sessionKeyid,
} from "../../../../shared/wire/keyid.ts";
import { importHmacKey } from "../../../../shared/wire/signature.ts";

const ID = {
  version: "v1",
  tenantId: "org_2abc",
  assetId: "01M807NRG7BVMVH9SM4YAEXFPG",
  expiresAtSeconds: 1_790_003_600,
};
const KEYID = "lz1.v1.org_2abc.01M807NRG7BVMVH9SM4YAEXFPG.1790003600";

test("parseSessionKeyid() reverts sessionKeyid()", () => {
  expect(sessionKeyid(ID)).toBe(KEYID);
  expect(parseSessionKeyid(KEYID)).toEqual(ID);
});

test("parseSessionKeyid() refuses every other spelling", () => {
  const wrong = [
    "",
    KEYID.replace("lz1", "lz2"),
    `${KEYID}.`,
    `${KEYID}.x`,
    KEYID.replace(".1790003600", ".01790003600"),
    KEYID.replace(".1790003600", ".1e9"),
    KEYID.replace(".1790003600", ".-1790003600"),
    KEYID.replace("org_2abc", "org#2abc"),
    KEYID.replace("org_2abc", ""),
    KEYID.replace("01M8", "01m8"),
    KEYID.replace("FPG", "FP"),
    KEYID.replace("v1", "V1"),
  ];
  for (const keyid of wrong) expect(parseSessionKeyid(keyid)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (keyid) => parseSessionKeyid(keyid) === undefined));
});

test("deriveSessionKey() is HMAC-SHA256 of the keyid under the edge secret", async () => {
  // The expected value was computed with: printf %s KEYID | openssl dgst -sha256 -mac HMAC -macopt
  // key:0123456789abcdef0123456789abcdef -binary | base64
  const secret = await importHmacKey(utf8("0123456789abcdef0123456789abcdef"), ["sign"]);
  expect(base64url(await deriveSessionKey(secret, KEYID))).toBe(
    "LrXn6-mHH5gsDvXoVD4S6dwrzhJrSZxpFwhGMXPAFTg",
  );
});

test("parseDeviceKeyid() accepts only a tenant and an asset", () => {
  const keyid = "lzd1.org_2abc.01M807NRG7BVMVH9SM4YAEXFPG";
  expect(parseDeviceKeyid(keyid)).toEqual({ tenantId: ID.tenantId, assetId: ID.assetId });
  for (const wrong of [
    `${keyid}.1`,
    keyid.replace("lzd1", "lz1"),
    "lzd1.a",
    "lzd1..01M807NRG7BVMVH9SM4YAEXFPG",
  ]) {
    expect(parseDeviceKeyid(wrong)).toBeUndefined();
  }
});
