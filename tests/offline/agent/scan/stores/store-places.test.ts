import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { AtRest, directoriesIn } from "../../../../../agent/scan/stores/models-on-disk.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";
import { only, product, weights } from "../../catalogue/model-homes.ts";
import { putIn } from "./store-files.ts";

const base = mkdtempSync(join(tmpdir(), "store-places-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** File operations for a fake machine whose root directory is `root`. */
function below(root: string): Files {
  const files = realFiles();
  return {
    ...files,
    list: (path) => files.list(root + path),
    facts: (path) => files.facts(root + path),
    bytes: (path, ...rest) => files.bytes(root + path, ...rest),
  };
}

const digest = `sha256:${"d".repeat(64)}`;
const manifest = JSON.stringify({
  layers: [{ mediaType: "application/vnd.ollama.image.model", digest, size: weights.length }],
});

test.each([
  ["snap", "/var/snap/ollama/common/models"],
  ["NixOS", "/var/lib/ollama/models"],
  ["flatpak (Alpaca)", "/home/ada/.var/app/com.jeffser.Alpaca/data/.ollama/models"],
  ["a home in a domain", "/home/EXAMPLE.COM/bob/.ollama/models"],
])("Ollama's models are found in the directory of %s", (name, directory) => {
  const root = join(base, name);
  const put = putIn(root);
  put(`${directory}/manifests/registry.ollama.ai/library/tiny/1b`, manifest);
  put(`${directory}/blobs/${digest.replace(":", "-")}`, weights);
  const source = new AtRest({
    catalogue,
    directories: directoriesIn(below(root)),
    homes: only("/home/ada", "/home/EXAMPLE.COM/bob"),
    elapsed: () => 0,
  });
  expect(source.read(product("ollama"))).toMatchObject([{ name: "tiny:1b", quantisation: "Q4_K_M" }]);
});

test("Ollama's models are found through the link of DynamicUser= in systemd", () => {
  const root = join(base, "dynamic");
  putIn(root)("/var/lib/private/ollama/models/manifests/registry.ollama.ai/library/tiny/1b", manifest);
  mkdirSync(dirname(join(root, "/var/lib/ollama")), { recursive: true });
  symlinkSync("private/ollama", join(root, "/var/lib/ollama"));
  const source = new AtRest({
    catalogue,
    directories: directoriesIn(below(root)),
    homes: only(),
    elapsed: () => 0,
  });
  expect(source.read(product("ollama"))).toMatchObject([{ name: "tiny:1b" }]);
});
