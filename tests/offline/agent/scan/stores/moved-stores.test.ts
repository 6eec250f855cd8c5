import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { inProcessReader } from "../../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../../agent/scan/reader-process/perform-reads.ts";
import { AtRest, directoriesBy } from "../../../../../agent/scan/stores/models-on-disk.ts";
import { MovedStores } from "../../../../../agent/scan/stores/moved-stores.ts";
import type { Files } from "../../../../../agent/scan/system/files.ts";
import type { ProcessFacts } from "../../../../../agent/scan/system/host.ts";
import { product, weights } from "../../catalogue/model-homes.ts";
import { ownedFiles, putIn } from "./store-files.ts";

const base = mkdtempSync(join(tmpdir(), "moved-stores-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const ADA = 1001;
const BOB = 1002;
let root = "";
let put = putIn("");
let count = 0;
beforeEach(() => {
  count += 1;
  root = join(base, String(count));
  put = putIn(root);
  put("home/ada/.profile", "");
  put("home/bob/.profile", "");
});

const digest = `sha256:${"c".repeat(64)}`;
const manifest = JSON.stringify({
  layers: [{ mediaType: "application/vnd.ollama.image.model", digest, size: weights.length }],
});
const process = (pid: number, more: Partial<ProcessFacts> = {}): ProcessFacts => ({
  pid,
  parentPid: 1,
  key: `${pid}:1:ollama`,
  name: "ollama",
  argv: [],
  executable: "/usr/bin/ollama",
  uid: ADA,
  ...more,
});

/**
 * File operations that see only the test's directories. They hide the systemd units of the machine that runs
 * the test.
 */
function own(owners: Parameters<typeof ownedFiles>[0]): Files {
  const files = ownedFiles({
    [`${root}/home/ada`]: { uid: ADA },
    [`${root}/home/bob`]: { uid: BOB },
    [`${root}/proc/7`]: { uid: ADA },
    ...owners,
  });
  const below = (path: string): string => {
    if (path.startsWith(root)) return path;
    throw Object.assign(new Error(path), { code: "ENOENT" });
  };
  return { ...files, list: (path) => files.list(below(path)), facts: (path) => files.facts(below(path)) };
}

async function scanner(owners: Parameters<typeof ownedFiles>[0] = {}, engines: ProcessFacts[] = []) {
  const asked: string[] = [];
  const perform = createReads(own(owners));
  const reader = inProcessReader((request) => {
    if (request.op === "settings") asked.push(request.of);
    return perform(request);
  });
  const homes = [`${root}/home/ada`, `${root}/home/bob`];
  const deps = { reader, homes: () => homes, elapsed: () => 0, platform: "linux", procRoot: `${root}/proc` };
  const moved = new MovedStores(deps);
  const atRest = new AtRest({ ...deps, directories: directoriesBy(reader), catalogue, moved });
  moved.sight(engines);
  const settle = async (running = new Set<string>()) => {
    for (let turn = 0; turn < 50 && atRest.isWaiting(); turn += 1) {
      atRest.stores(running, 1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return atRest.stores(running, 1000);
  };
  const namesOf = async (running?: Set<string>) =>
    Object.fromEntries(
      ((await settle(running)) ?? []).map(({ id, models }) => [id, models.map(({ name }) => name)]),
    );
  return { atRest, moved, settle, namesOf, asked };
}

const lmStudio = (user: string, downloadsFolder: string) =>
  put(`home/${user}/.lmstudio/settings.json`, JSON.stringify({ downloadsFolder }));

describe("model directories that settings name", () => {
  test("LM Studio's models are found in the directory of its settings", async () => {
    put("big/ada/tiny/tiny.gguf", weights);
    lmStudio("ada", `${root}/big`);
    const { namesOf, atRest } = await scanner({ [`${root}/big`]: { uid: ADA } });
    expect(await namesOf()).toEqual({ "lm-studio": ["TinyLlama 1.1B Chat"] });
    expect(atRest.report()).toMatchObject({ status: "ok" });
  });

  test("a user's setting does not make the agent read the directory of another user", async () => {
    put("home/bob/private/tiny.gguf", weights);
    lmStudio("ada", `${root}/home/bob/private`);
    const { namesOf, atRest } = await scanner();
    expect(await namesOf()).toEqual({});
    expect(atRest.report()).toEqual({
      name: "at-rest",
      status: "partial",
      detail: "1 model directories not read: a setting of one user names a directory of another user",
    });
  });

  test("a user who names the directory of another user does not hide it", async () => {
    put("home/bob/private/tiny.gguf", weights);
    lmStudio("ada", `${root}/home/bob/private`);
    lmStudio("bob", `${root}/home/bob/private`);
    expect(await (await scanner()).namesOf()).toEqual({ "lm-studio": ["TinyLlama 1.1B Chat"] });
  });

  test("the environment of a running engine is read once, and its models belong to the engine", async () => {
    put("data/manifests/registry.ollama.ai/library/moved/1b", manifest);
    put(`data/blobs/${digest.replace(":", "-")}`, weights);
    put("proc/7/environ", `HOME=/x\0OLLAMA_MODELS=${root}/data\0`);
    const engine = process(7);
    const { namesOf, atRest, moved, asked } = await scanner({ [`${root}/data`]: { uid: ADA } }, [engine]);
    expect(await namesOf(new Set(["ollama"]))).toEqual({});
    atRest.read(product("ollama"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(atRest.read(product("ollama")).map(({ name }) => name)).toEqual(["moved:1b"]);
    moved.sight([engine]);
    await namesOf();
    expect(asked.filter((of) => of === "process")).toHaveLength(1);
  });

  test("the environment of a process in a container is not read, because its paths are not those of the host", async () => {
    put("proc/7/environ", `OLLAMA_MODELS=${root}/data\0`);
    const { namesOf, asked } = await scanner({}, [process(7, { container: "docker:1" })]);
    await namesOf();
    expect(asked).not.toContain("process");
  });

  test("an environment without read permission is counted", async () => {
    const { namesOf, atRest } = await scanner({}, [process(8)]);
    put("proc/8/environ/x", "");
    await namesOf();
    expect(atRest.report().status).toBe("ok");
    const { settle, atRest: other } = await scanner({ [`${root}/proc/8`]: { uid: ADA } }, [process(8)]);
    await settle();
    expect(other.report()).toMatchObject({ detail: "could not read 1 settings of model stores" });
  });

  test("a moved Hugging Face cache belongs to the running product that reads it, or to the cache store", async () => {
    put("hf/hub/models--ada--tiny/snapshots/a/model.safetensors", "x");
    put("proc/7/environ", `HF_HOME=${root}/hf\0`);
    const { namesOf } = await scanner({ [`${root}/hf`]: { uid: ADA } }, [process(7)]);
    expect(await namesOf()).toEqual({ huggingface: ["ada/tiny"] });
    expect(await namesOf(new Set(["vllm"]))).toEqual({});
  });

  test("a user's setting does not hide the store of another user", async () => {
    put("home/bob/.xinference/cache/tiny.gguf", weights);
    put("home/bob/models/tiny.gguf", weights);
    lmStudio("bob", `${root}/home/bob/models`);
    const unit = (name: string, value: string) =>
      put(
        `home/ada/.config/systemd/user/${name}.service`,
        `[Service]\nExecStart=${put("bin/x", "")}\nEnvironment=${value}\n`,
      );
    unit("a", `OLLAMA_MODELS=${root}/home/bob/.xinference/cache`);
    unit("b", `LLAMA_CACHE=${root}/home/bob/models`);
    unit("c", `LLAMA_CACHE=${root}/home/bob/.xinference/cache`);
    expect(await (await scanner()).namesOf()).toEqual({
      xinference: ["TinyLlama 1.1B Chat"],
      "lm-studio": ["TinyLlama 1.1B Chat"],
    });
  });

  test("a setting that names a home does not hide the browsers in it", async () => {
    put("home/ada/.config/chromium/Default/File System/000/t/00/1", weights);
    lmStudio("ada", `${root}/home/ada`);
    const { namesOf } = await scanner();
    expect((await namesOf()).browser).toEqual(["GGUF model in OPFS of Chromium"]);
  });

  test("known stores stay reported while settings of a new engine are read", async () => {
    put("home/bob/.lmstudio/models/tiny.gguf", weights);
    put("data/manifests/registry.ollama.ai/library/moved/1b", manifest);
    put("proc/7/environ", `OLLAMA_MODELS=${root}/data\0`);
    const { atRest, moved, namesOf } = await scanner({ [`${root}/data`]: { uid: ADA } });
    const known = await namesOf();
    moved.sight([process(7)]);
    const none = new Set<string>();
    for (let turn = 0; turn < 10; turn += 1) {
      expect(atRest.stores(none, 1000)?.map(({ id }) => id)).toContain("lm-studio");
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await namesOf()).toEqual({ ...known, ollama: ["moved:1b"] });
  });
});
