import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createSignature, verifySignature as verifyByLibrary } from "http-message-sig";
import { base64, fromBase64, utf8 } from "../../../../shared/encoding/bytes.ts";
import {
  contentDigest,
  importDeviceKey,
  importHmacKey,
  isFresh,
  parseSignature,
  type Signer,
  signatureBase,
  signRequest,
  verifySignature,
} from "../../../../shared/wire/signature.ts";

/*
 * Every intermediate step has its own test vector, so that a failure names the step. Computed with OpenSSL:
 *   printf %s BODY | openssl dgst -sha256 -binary | base64
 *   printf %s BASE | openssl dgst -sha256 -mac HMAC -macopt key:0123456789abcdef0123456789abcdef -binary | base64
 */
const KEY = utf8("0123456789abcdef0123456789abcdef");
const VECTOR = {
  body: '{"v":1}',
  digest: "sha-256=:r7+dDzVgsP13legcQqCnnua2/GfgZPd4Jq7mQsrSjZE=:",
  parameters: '("@method" "@path" "content-digest");created=1790000000;keyid="k";alg="hmac-sha256"',
  base:
    '"@method": POST\n"@path": /v1/heartbeats\n' +
    '"content-digest": sha-256=:r7+dDzVgsP13legcQqCnnua2/GfgZPd4Jq7mQsrSjZE=:\n' +
    '"@signature-params": ("@method" "@path" "content-digest");created=1790000000;keyid="k";alg="hmac-sha256"',
  signature: "lz=:ByIwF8VtaXQewRS7PgmPJkx9CQvuJWzuvVHIFNIMVhc=:",
};
const URL = "https://edge.example/v1/heartbeats";
const post = { method: "POST", path: "/v1/heartbeats" };

const hmacSigner = async (keyid = "k"): Promise<Signer> => ({
  keyid,
  algorithm: "hmac-sha256",
  key: await importHmacKey(KEY, ["sign"]),
});

describe("the vector", () => {
  test("contentDigest()", async () => {
    expect(await contentDigest(utf8(VECTOR.body))).toBe(VECTOR.digest);
  });
  test("signatureBase()", () => {
    expect(signatureBase({ ...post, digest: VECTOR.digest }, VECTOR.parameters)).toBe(VECTOR.base);
  });
  test("signRequest()", async () => {
    expect(
      await signRequest(await hmacSigner(), { ...post, body: utf8(VECTOR.body) }, 1_790_000_000),
    ).toEqual({
      "content-digest": VECTOR.digest,
      "signature-input": `lz=${VECTOR.parameters}`,
      signature: VECTOR.signature,
    });
  });
});

describe("interoperability with another implementation of RFC 9421", () => {
  const components = ["@method", "@path", "content-digest"];
  const algorithms = {
    "hmac-sha256": async () => {
      const key = await importHmacKey(KEY, ["sign", "verify"]);
      return { privateKey: key, publicKey: key, name: "HMAC" };
    },
    ed25519: async () => {
      const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
      return { ...pair, name: "Ed25519" };
    },
  } as const;
  for (const algorithm of ["hmac-sha256", "ed25519"] as const) {
    test(`it verifies our ${algorithm} signature`, async () => {
      const { privateKey, publicKey, name } = await algorithms[algorithm]();
      const body = utf8('{"a":"b"}');
      const headers = await signRequest(
        { keyid: "lz1.k", algorithm, key: privateKey },
        { ...post, body },
        1_790_000_000,
      );
      const verified = await verifyByLibrary(new Request(URL, { method: "POST", headers, body }), {
        label: "lz",
        policy: {
          algorithms: [algorithm],
          requiredComponents: components,
          requiredParameters: ["created", "keyid"],
          now: 1_790_000_001,
          maxAge: 300,
        },
        resolveVerifier: () => ({
          algorithm,
          verify: (data, signature) =>
            crypto.subtle.verify(name, publicKey, signature as BufferSource, data as BufferSource),
        }),
      });
      expect(verified.parameters.keyid).toBe("lz1.k");
    });

    test(`we verify its ${algorithm} signature, with or without alg`, async () => {
      const { privateKey, publicKey, name } = await algorithms[algorithm]();
      const body = utf8('{"a":"b"}');
      const digest = await contentDigest(body);
      const request = new Request(URL, { method: "POST", headers: { "content-digest": digest }, body });
      for (const parameters of [
        { created: 1_790_000_000, keyid: "lz1.k" },
        { keyid: "lz1.k", alg: algorithm, created: 1_790_000_000 },
      ]) {
        const fields = await createSignature(request, {
          label: "lz",
          components,
          parameters,
          signer: {
            algorithm,
            sign: async (data) =>
              new Uint8Array(await crypto.subtle.sign(name, privateKey, data as BufferSource)),
          },
        });
        const headers = new Headers({
          signature: fields.signature,
          "signature-input": fields.signatureInput,
        });
        const parsed = parseSignature(headers, algorithm);
        expect(parsed.ok && (await verifySignature(publicKey, parsed.value, { ...post, digest }))).toBe(true);
      }
    });
  }
});

describe("parseSignature()", () => {
  const good = {
    input: 'lz=("@method" "@path" "content-digest");created=1790000000;keyid="lz1.k"',
    signature: `lz=:${base64(new Uint8Array(32))}:`,
  };
  const parse = (input: string, signature = good.signature) =>
    parseSignature(new Headers({ "signature-input": input, signature }), "hmac-sha256");

  test("accepts its own profile", () => {
    expect(parse(good.input)).toMatchObject({
      ok: true,
      value: { keyid: "lz1.k", createdSeconds: 1_790_000_000 },
    });
  });

  const refused: [string, string][] = [
    ["another label", good.input.replace("lz=", "sig1=")],
    ["a second label", `${good.input}, x=();created=1;keyid="a"`],
    ["fewer components", good.input.replace(' "content-digest"', "")],
    ["more components", good.input.replace('"@path"', '"@path" "date"')],
    ["components in another order", good.input.replace('"@method" "@path"', '"@path" "@method"')],
    ["no created", good.input.replace(";created=1790000000", "")],
    ["no keyid", good.input.replace(';keyid="lz1.k"', "")],
    ["created twice", `${good.input};created=1790000000`],
    ["keyid twice", `${good.input};keyid="other"`],
    ["created as text", good.input.replace("1790000000", '"1790000000"')],
    ["a negative created", good.input.replace("1790000000", "-1790000000")],
    ["a fraction in created", good.input.replace("1790000000", "1790000000.5")],
    ["keyid as a number", good.input.replace('"lz1.k"', "7")],
    ["an escape in keyid", good.input.replace("lz1.k", 'lz1\\"k')],
    ["an unknown parameter", `${good.input};nonce="x"`],
    ["another algorithm", `${good.input};alg="ed25519"`],
    ["an algorithm nobody knows", `${good.input};alg="none"`],
    ["a space in between", good.input.replace(";keyid", "; keyid")],
    ["a keyid beyond the limit", good.input.replace("lz1.k", "k".repeat(257))],
  ];
  for (const [what, input] of refused) {
    test(`refuses ${what}`, () => expect(parse(input)).toMatchObject({ ok: false, code: "wire.unsigned" }));
  }

  const usual = `${good.input};alg="hmac-sha256"`;
  test.each([
    ["before", usual.replace(";created", ';nonce="x";created')],
    ["before, of a known name", usual.replace(";created", ';keyid="other";created')],
    ["behind", `${usual};nonce="x"`],
    ["behind, of a known name", `${usual};alg="hmac-sha256"`],
    ["behind, cut off", `${usual};`],
    ["in place of created", usual.replace(";created=1790000000", ";created=")],
    ["with 13 digits", usual.replace("1790000000", "1790000000000")],
    ["with a character that keyids do not have", usual.replace("lz1.k", "lz1 k")],
    ["with a backslash", usual.replace("lz1.k", "lz1\\k")],
  ])("refuses the parameters of our own agents with a parameter %s", (_where, input) => {
    expect(parse(usual).ok).toBe(true);
    expect(parse(input)).toEqual({
      ok: false,
      code: "wire.unsigned",
      detail: "signature-input does not match the required profile",
    });
  });

  test("accepts the parameters in any order, with or without the algorithm", () => {
    const [components, created, keyid, alg] = usual.split(";");
    for (const order of [
      [created, keyid, alg],
      [alg, keyid, created],
      [keyid, created],
    ]) {
      const parameters = [components, ...order].join(";");
      expect(parse(parameters)).toEqual({
        ok: true,
        value: {
          keyid: "lz1.k",
          createdSeconds: 1_790_000_000,
          algorithm: "hmac-sha256",
          parameters: parameters.slice("lz=".length),
          signature: new Uint8Array(32),
        },
      });
    }
  });

  test("says which header is missing or wrong", () => {
    const detail = (
      headers: Record<string, string>,
      algorithm: "ed25519" | "hmac-sha256" = "hmac-sha256",
    ) => {
      const parsed = parseSignature(new Headers(headers), algorithm);
      return parsed.ok ? undefined : `${parsed.code}: ${parsed.detail}`;
    };
    const { signature } = good;
    const both = "wire.unsigned: signature-input and signature are required";
    const wrong = (header: string) => `wire.unsigned: ${header} does not match the required profile`;
    expect(detail({ signature })).toBe(both);
    expect(detail({ "signature-input": usual })).toBe(both);
    expect(detail({ "signature-input": "x", signature })).toBe(wrong("signature-input"));
    expect(detail({ "signature-input": usual, signature: "lz=:AAAA:" })).toBe(wrong("signature"));
    expect(detail({ "signature-input": usual, signature: signature.slice(0, -1) })).toBe(wrong("signature"));
    expect(detail({ "signature-input": usual, signature: signature.slice(1) })).toBe(wrong("signature"));
    expect(detail({ "signature-input": usual, signature }, "ed25519")).toBe(
      "wire.unsigned: alg must be ed25519",
    );
  });

  test("accepts a keyid of maximum length", () => {
    expect(parse(good.input.replace("lz1.k", "k".repeat(256))).ok).toBe(true);
  });

  test("refuses any signature except 32 bytes of strict base64 after the label", () => {
    const wrong = [
      "lz=::",
      "lz=AAAA",
      `x=:${base64(new Uint8Array(32))}:`,
      `lz=:${base64(new Uint8Array(31))}:`,
    ];
    for (const signature of [...wrong, `lz=:${base64(new Uint8Array(33))}:`, `lz=:${"!".repeat(44)}:`]) {
      expect(parse(good.input, signature).ok).toBe(false);
    }
  });

  test("never throws, for any headers", () => {
    const ascii = fc.string({ unit: "grapheme-ascii" });
    fc.assert(
      fc.property(ascii, ascii, (input, signature) => {
        const headers = new Headers({
          "signature-input": `${good.input}${input}`,
          signature: `lz=:${signature}`,
        });
        return parseSignature(headers, "hmac-sha256").ok === false || input.trim() === "";
      }),
    );
  });
});

describe("verifySignature()", () => {
  test("refuses any change of one covered bit", async () => {
    const body = utf8(VECTOR.body);
    const headers = await signRequest(await hmacSigner(), { ...post, body }, 1_790_000_000);
    const parsed = parseSignature(new Headers(headers), "hmac-sha256");
    if (!parsed.ok) throw new Error("unreachable");
    const key = await importHmacKey(KEY, ["verify"]);
    const signable = { ...post, digest: headers["content-digest"] };
    expect(await verifySignature(key, parsed.value, signable)).toBe(true);
    const other = await contentDigest(utf8('{"v":2}'));
    expect(await verifySignature(key, parsed.value, { ...signable, method: "PUT" })).toBe(false);
    expect(await verifySignature(key, parsed.value, { ...signable, path: "/v1/session" })).toBe(false);
    expect(await verifySignature(key, parsed.value, { ...signable, digest: other })).toBe(false);
    const later = parsed.value.parameters.replace("1790000000", "1790000001");
    expect(await verifySignature(key, { ...parsed.value, parameters: later }, signable)).toBe(false);
  });
});

test("imported keys are usable for their purpose and not exportable", async () => {
  const hmac = await importHmacKey(KEY, ["verify"]);
  expect([hmac.extractable, hmac.usages, hmac.algorithm.name]).toEqual([false, ["verify"], "HMAC"]);
  const pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const device = await importDeviceKey(x!);
  expect([device.extractable, device.usages, device.algorithm.name]).toEqual([false, ["verify"], "Ed25519"]);
  await expect(importDeviceKey("AAAA")).rejects.toThrow();
});

test("isFresh() accepts exactly the allowed skew, in both directions", () => {
  const now = 1_790_000_000_000;
  for (const [created, fresh] of [
    [1_790_000_300, true],
    [1_790_000_301, false],
    [1_789_999_700, true],
    [1_789_999_699, false],
    [Number.NaN, false],
  ] as const) {
    expect(isFresh(created, now, 300)).toBe(fresh);
  }
});

test("fromBase64() reverts base64() and refuses everything else", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => expect(fromBase64(base64(bytes))).toEqual(new Uint8Array(bytes))),
  );
  for (const text of ["A", "AA", "AAA", "A===", "AA=A", "AA A", "AAAA\n", "____", "AB==", "AAB="])
    expect(fromBase64(text)).toBeUndefined();
});
