import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeSecrets, publicJwk } from "../../../../local/secrets.ts";
import { run } from "../../../../lz/keys/catalog-sign.ts";
import type { Deps } from "../../../../lz/platform/deps.ts";
import { verifyCatalogue } from "../../../../shared/wire/catalog.ts";
import { argumentsOf } from "../arguments-of.ts";

const deps = (env: Record<string, string> = {}): Deps => ({
  clock: () => 1_800_000_000_000,
  random: (length) => new Uint8Array(length),
  env,
  root: "/nonexistent",
  fetch: () => Promise.reject(new Error("offline")),
  note: () => {},
  stop: new AbortController().signal,
});

test("lz catalog sign writes a document that the public control key verifies, and rejects other files and keys", async () => {
  const directory = mkdtempSync(join(tmpdir(), "lz-catalog-"));
  const at = (name: string) => join(directory, name);
  const { controlKey } = await makeSecrets();
  writeFileSync(at("catalogue.json"), '{"version":"2026.12.01","entries":[]}\n');
  writeFileSync(at("other.json"), '{"entries":[]}');
  writeFileSync(at("key.json"), JSON.stringify(controlKey));
  writeFileSync(at("public.json"), JSON.stringify(publicJwk(controlKey)));
  const sign = (from: string, key: string[], env?: Record<string, string>, out = "out") => {
    const args = argumentsOf("catalog", "sign", "--in", at(from), "--out", at(out), ...key);
    return run(args, deps(env));
  };
  const pinned = { keys: [publicJwk(controlKey)] };
  for (const [key, env] of [
    [["--key", at("key.json")], {}],
    [[], { LZ_CONTROL_KEY: JSON.stringify(controlKey) }],
  ] as const) {
    expect((await sign("catalogue.json", [...key], env)).json).toMatchObject({ version: "2026.12.01" });
    const verified = await verifyCatalogue(readFileSync(at("out"), "utf8"), pinned, 1_800_000_000_000);
    expect(verified.json).toBe('{"version":"2026.12.01","entries":[]}');
    expect(readFileSync(at("out"), "utf8")).not.toContain(String(controlKey.d));
  }
  await expect(sign("other.json", ["--key", at("key.json")])).rejects.toThrow(
    /not a catalogue with a version/,
  );
  await expect(sign("catalogue.json", ["--key", at("public.json")])).rejects.toThrow(
    /must be an Ed25519 private JWK/,
  );
  await expect(sign("catalogue.json", [])).rejects.toThrow(/give the private control key/);
  await expect(sign("absent.json", ["--key", at("key.json")])).rejects.toThrow(/cannot read/);
  mkdirSync(at("folder"));
  await expect(sign("catalogue.json", ["--key", at("key.json")], {}, "folder")).rejects.toThrow(
    /cannot write/,
  );
  rmSync(directory, { recursive: true });
});
