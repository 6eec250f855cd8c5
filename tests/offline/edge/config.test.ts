import { expect, test } from "bun:test";
import { readConfig } from "../../../edge/config.ts";
import { makeSecrets, publicJwk } from "../../../local/secrets.ts";
import { edgeEnvironment } from "../../../local/stack.ts";

const secrets = await makeSecrets();
const good = edgeEnvironment(
  secrets,
  { url: "http://127.0.0.1:1", jwksUrl: "http://127.0.0.1:1/jwks" },
  "http://x",
  {
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "a",
    AWS_SECRET_ACCESS_KEY: "b",
    SQS_QUEUE_URL: "http://127.0.0.1:2/0/q",
  },
);

test("readConfig() accepts the settings of the local stack, and two versions of a secret", () => {
  expect(readConfig(good).LZ_EDGE_SECRETS).toHaveLength(1);
  const two = `v2:${"A".repeat(43)},${secrets.edgeSecrets}`;
  const read = readConfig({ ...good, LZ_EDGE_SECRETS: two }).LZ_EDGE_SECRETS ?? [];
  expect(read.map(({ version }) => version)).toEqual(["v2", "v1"]);
});

test("readConfig() accepts three versions of a secret, and no version twice", () => {
  const [a, b, c] = ["A", "Q", "g"].map((letter) => letter.repeat(43));
  for (const name of ["LZ_EDGE_SECRETS", "LZ_QUEUE_KEYS"] as const) {
    expect(readConfig({ ...good, [name]: `v3:${c},v2:${b},v1:${a}` })[name]).toHaveLength(3);
    expect(() => readConfig({ ...good, [name]: `v2:${b},v2:${a}` })).toThrow(
      `${name}: expected a different version`,
    );
  }
});

test("readConfig() names all problems together and shows no value", () => {
  const broken = { ...good, LZ_EDGE_SECRETS: "v1:too-short", LZ_CONTROL_JWKS: "{", AWS_REGION: undefined };
  const message = (() => {
    try {
      readConfig(broken);
    } catch (error) {
      return (error as Error).message;
    }
  })();
  for (const name of ["LZ_EDGE_SECRETS", "LZ_CONTROL_JWKS", "AWS_REGION"]) expect(message).toContain(name);
  expect(message).not.toContain("too-short");
});

test("readConfig() removes private parts from the public keys", () => {
  const keys = { keys: [{ ...publicJwk(secrets.controlKey), d: "x" }] };
  const parsed = readConfig({ ...good, LZ_CONTROL_JWKS: JSON.stringify(keys) });
  expect(JSON.stringify(parsed.LZ_CONTROL_JWKS)).not.toContain('"d"');
});

test.each(["", " ", "1e2", "0x10", " 5", "5 ", "+5", "05", "1.5", "٥", "1e999"])(
  "readConfig() rejects %p as a whole number and does not guess",
  (value) => {
    for (const name of ["LZ_HELD_POLLS_MAX", "LZ_DEVICE_PER_MINUTE", "LZ_PACK_WAIT_MS"])
      expect(() => readConfig({ ...good, [name]: value })).toThrow(`${name}: `);
  },
);

test("readConfig() accepts whole numbers, and a drain time with a fraction of a second", () => {
  const read = readConfig({
    ...good,
    LZ_HELD_POLLS_MAX: "0",
    LZ_DEVICE_PER_MINUTE: "7",
    LZ_DRAIN_SECONDS: "0.5",
  });
  expect([read.LZ_HELD_POLLS_MAX, read.LZ_DEVICE_PER_MINUTE, read.LZ_DRAIN_SECONDS]).toEqual([0, 7, 0.5]);
  for (const seconds of ["", "1e2", "301", "-1"])
    expect(() => readConfig({ ...good, LZ_DRAIN_SECONDS: seconds })).toThrow("LZ_DRAIN_SECONDS");
});
