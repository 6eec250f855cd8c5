import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { systemReaders } from "../../agent/scan/platform/system-readers.ts";
import { createScanner } from "../../agent/scan/scan.ts";
import type { Store } from "../../shared/wire/heartbeat.ts";
import { describeUnless } from "../support/missing.ts";
import { eventually } from "../support/stack.ts";
import { chromiumPath, lacking } from "./chromium.ts";

/*
 * Tests a page in Chromium that stores files as model libraries do: in OPFS, in Cache Storage, and in
 * IndexedDB. In IndexedDB, it stores a blob, an array, and an object that contains an array. One browser
 * profile contains models. The other contains different files of the same size.
 */

/**
 * The test page. Its files start with the bytes of a file format. The rest is random data, which does not
 * compress, like model weights.
 */
const PAGE = `<!doctype html><title>files</title><script>
const MIB = 1024 ** 2;
function file(start, size) {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
  bytes.set(start);
  return bytes;
}
const text = (value) => new TextEncoder().encode(value);
const header = '{"model.norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';
const kinds = {
  models: {
    gguf: file([0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0], 3 * MIB),
    safetensors: file([header.length, 0, 0, 0, 0, 0, 0, 0, ...text(header)], 3 * MIB),
    onnx: file([8, 8, 0x12, 7, ...text("pytorch"), 0x1a], 17 * MIB),
  },
  others: {
    mp4: file([0, 0, 0, 0x20, ...text("ftypisom")], 17 * MIB),
    wasm: file([0, ...text("asm"), 1, 0, 0, 0], 17 * MIB),
    zeros: new Uint8Array(17 * MIB),
  },
};
async function keep(kind) {
  const root = await navigator.storage.getDirectory();
  const cache = await caches.open("transformers-cache");
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open("models", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("files");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const put = (key, value) => new Promise((resolve, reject) => {
    const transaction = database.transaction("files", "readwrite");
    transaction.objectStore("files").put(value, key);
    transaction.oncomplete = resolve;
    transaction.onerror = () => reject(transaction.error);
  });
  for (const [name, bytes] of Object.entries(kinds[kind])) {
    const handle = await root.getFileHandle("secret-" + name, { create: true });
    const writable = await handle.createWritable();
    await writable.write(bytes);
    await writable.close();
    await cache.put("/secret-models/" + name + "?token=secret", new Response(bytes));
  }
  const [first, second, third] = Object.values(kinds[kind]);
  await put("blob", new Blob([first]));
  await put("object", { name: "secret", file: second });
  await put("array", third);
  return "kept";
}
</script>`;

describeUnless(lacking, "models that pages keep in a real Chromium", () => {
  const base = mkdtempSync(join(tmpdir(), "page-storage-"));
  let server: ReturnType<typeof Bun.serve>;
  beforeAll(() => {
    server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(PAGE, { headers: { "content-type": "text/html" } }),
    });
  });
  afterAll(() => {
    server.stop(true);
    rmSync(base, { recursive: true, force: true });
  });

  /** Returns the model stores that the agent finds in a home directory after this page was open in the browser. */
  async function storesAfter(kind: "models" | "others"): Promise<Store[]> {
    const home = join(base, kind);
    const profile = join(home, ".config/chromium");
    mkdirSync(profile, { recursive: true });
    const context = await chromium.launchPersistentContext(profile, {
      executablePath: chromiumPath()!,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    try {
      const page = await context.newPage();
      await page.goto(`http://127.0.0.1:${server.port}/`);
      expect(await page.evaluate(`keep(${JSON.stringify(kind)})`)).toBe("kept");
    } finally {
      await context.close();
    }
    const scanner = createScanner(
      systemReaders({
        platform: process.platform,
        procRoot: "/proc",
        selfPid: process.pid,
        homes: () => [home],
        clock: Date.now,
        elapsed: () => performance.now(),
      }),
      { storesMs: 1000 },
    );
    return eventually(async () => {
      const { stores, waiting } = await scanner.scan();
      return !waiting.some((one) => one.startsWith("models on disk")) && stores;
    }, 30_000);
  }

  test("are reported by storage, kind and size only", async () => {
    const stores = await storesAfter("models");
    const store = stores.find(({ id }) => id === "browser")!;
    expect(store.models.map(({ name }) => name).sort()).toEqual([
      "GGUF model in Cache Storage of Chromium",
      "GGUF model in IndexedDB of Chromium",
      "GGUF model in OPFS of Chromium",
      "ONNX model in Cache Storage of Chromium",
      "ONNX model in IndexedDB of Chromium",
      "ONNX model in OPFS of Chromium",
      "safetensors model in Cache Storage of Chromium",
      "safetensors model in IndexedDB of Chromium",
      "safetensors model in OPFS of Chromium",
    ]);
    for (const { sizeBytes } of store.models) expect(sizeBytes).toBeGreaterThanOrEqual(3 * 1024 ** 2);
    expect(JSON.stringify(store)).not.toMatch(/secret|127\.0\.0\.1|http/);
  }, 60_000);

  test("are not reported if the stored files are not models", async () => {
    const stores = await storesAfter("others");
    expect(stores.find(({ id }) => id === "browser")).toBeUndefined();
  }, 60_000);
});
