import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AtRest, directoriesIn } from "../../../../../agent/scan/stores/models-on-disk.ts";
import { realFiles } from "../../../../../agent/scan/system/files.ts";
import { store } from "../../../../../shared/wire/heartbeat.ts";
import { MIB, only, weights } from "../../catalogue/model-homes.ts";
import { cacheEntry, LARGE, ONNX, onlyStart, packed, SAFETENSORS, serialised } from "./browser-files.ts";
import { putIn } from "./store-files.ts";

const base = mkdtempSync(join(tmpdir(), "browser-storage-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let home = "";
let put = putIn("");
let count = 0;
beforeEach(() => {
  count += 1;
  home = join(base, String(count));
  put = putIn(home);
});

const look = () => {
  const directories = directoriesIn(realFiles());
  const source = new AtRest({ directories, catalogue: [], homes: only(home), elapsed: () => 0 });
  const stores = source.stores(new Set(), 1000)!;
  for (const one of stores) expect(store.safeParse(one).success).toBe(true);
  return { stores, report: source.report() };
};
const names = () => look().stores.flatMap(({ models }) => models.map(({ name }) => name));

const PROFILE = ".config/google-chrome/Default";
const CACHE = `${PROFILE}/Service Worker/CacheStorage/0a1b/0c2d`;
const IDB = `${PROFILE}/IndexedDB/https_chat.example_0.indexeddb.blob/1/00`;
const MORGUE = ".mozilla/firefox/x.default/storage/default/https+++chat.example/cache/morgue/12";

describe("models in the storage of browsers", () => {
  test("in OPFS of Chromium are reported with format and size only", () => {
    put(`${PROFILE}/File System/000/t/00/00000001`, weights);
    expect(look().stores).toEqual([
      {
        id: "browser",
        name: "Web browsers",
        models: [{ name: "GGUF model in OPFS of Chrome", format: "gguf", sizeBytes: weights.length }],
      },
    ]);
  });

  test("in Cache Storage are found after the URL of the response", () => {
    put(`${CACHE}/a_0`, cacheEntry("https://chat.example/m/tiny.gguf?token=s3cret", weights));
    put(`${CACHE}/b_0`, cacheEntry("https://chat.example/m/tiny", SAFETENSORS));
    const { stores } = look();
    expect(stores[0]!.models.map(({ name }) => name).sort()).toEqual([
      "GGUF model in Cache Storage of Chrome",
      "safetensors model in Cache Storage of Chrome",
    ]);
    expect(JSON.stringify(stores)).not.toMatch(/example|s3cret|tiny/);
  });

  test("for WebLLM, which have no magic bytes, are found by file name", () => {
    for (const part of [0, 1])
      put(`${CACHE}/${part}_0`, cacheEntry(`https://hub.example/m/params_shard_${part}.bin`, LARGE));
    expect(names()).toEqual(["WebLLM model in Cache Storage of Chrome"]);
  });

  test("in IndexedDB are found as blobs, values and compressed values", () => {
    put(`${IDB}/1`, weights);
    expect(names()).toEqual(["GGUF model in IndexedDB of Chrome"]);
    put(`${IDB}/1`, serialised(weights));
    expect(names()).toEqual(["GGUF model in IndexedDB of Chrome"]);
    put(`${IDB}/1`, packed(serialised(SAFETENSORS)));
    expect(names()).toEqual(["safetensors model in IndexedDB of Chrome"]);
  });

  test("ONNX is found with its producer, from 16 MiB on", () => {
    put(`${PROFILE}/File System/000/t/00/1`, onlyStart(ONNX, 17 * MIB));
    expect(names()).toEqual(["ONNX model in OPFS of Chrome"]);
    put(`${PROFILE}/File System/000/t/00/1`, onlyStart(ONNX, 15 * MIB));
    expect(names()).toEqual([]);
  });

  test("in storage buckets and in further profiles are found too", () => {
    put(".config/chromium/Profile 7/WebStorage/3/IndexedDB/x.indexeddb.blob/1/00/1", weights);
    put(".config/chromium/Profile 7/WebStorage/3/CacheStorage/a/b/c_0", cacheEntry("https://a/", weights));
    expect(names().sort()).toEqual([
      "GGUF model in Cache Storage of Chromium",
      "GGUF model in IndexedDB of Chromium",
    ]);
  });

  test("in Firefox are found in each of its storages", () => {
    const storage = ".mozilla/firefox/x.default/storage";
    put(`${storage}/default/https+++chat.example/fs/a/b`, weights);
    put(`${storage}/permanent/chrome/idb/1234modelFiles.files/7`, SAFETENSORS);
    put(`${MORGUE}/{0a1b}.final`, packed(weights, { isFramed: true }));
    expect(names().sort()).toEqual([
      "GGUF model in Cache Storage of Firefox",
      "GGUF model in OPFS of Firefox",
      "safetensors model in IndexedDB of Firefox",
    ]);
  });

  test("that are built into Chrome and Edge are reported", () => {
    const model = put(".config/google-chrome/OptGuideOnDeviceModel/2025.8.8.1141/weights.bin", "x");
    truncateSync(model, 65 * MIB);
    const key = "0123456789abcdef".repeat(4);
    const newer = put(`.config/google-chrome-beta/OptGuideManifestModel/${key}/1.0.0.0/weights.bin`, "x");
    truncateSync(newer, 70 * MIB);
    truncateSync(
      put(".config/microsoft-edge/EdgeLLMOnDeviceModel/2026.2.19.1/model.onnx.data", "x"),
      80 * MIB,
    );
    expect(look().stores[0]!.models).toEqual([
      { name: "Built-in model of Chrome", format: "unknown", sizeBytes: 65 * MIB },
      { name: "Built-in model of Chrome Beta", format: "unknown", sizeBytes: 70 * MIB },
      { name: "Built-in model of Edge", format: "unknown", sizeBytes: 80 * MIB },
    ]);
  });
});

describe("an ordinary profile", () => {
  test("with large caches and files but no model is not reported", () => {
    const mp4 = onlyStart(new TextEncoder().encode("\0\0\0\x20ftypisom"), 17 * MIB);
    const wasm = onlyStart(new TextEncoder().encode("\0asm\x01\0\0\0"), 3 * MIB);
    const json = new TextEncoder().encode(`{"__metadata__":${" ".repeat(2 * MIB)}{}}`);
    // This file starts like an ONNX file, as other protobuf files do: field 1 with value 8, then field 2.
    const protobuf = onlyStart(Uint8Array.of(8, 8, 0x12, 200, 1, 0, 0), 17 * MIB);
    for (const [at, content] of [LARGE, mp4, wasm, json, protobuf].entries()) {
      put(`${CACHE}/${at}_0`, cacheEntry(`https://video.example/${at}`, content));
      put(`${PROFILE}/File System/000/t/00/0000000${at}`, content);
      put(`${IDB}/${at}`, content);
      put(`${IDB}/1${at}`, serialised(content));
      put(`${IDB}/2${at}`, packed(serialised(content)));
      put(`${MORGUE}/{${at}}.final`, packed(content, { isFramed: true }));
    }
    put(".config/google-chrome/OptGuideOnDeviceModel/2025.8.8.1141/weights.bin", "x");
    truncateSync(put(".config/google-chrome/optimization_guide_model_store/1/a/model.tflite", "x"), 70 * MIB);
    put(`${CACHE}/shard_0`, cacheEntry("https://a/params_shard_0.bin", new Uint8Array(1000)));
    put(`${CACHE}/other_0`, cacheEntry("https://a/params_shard_0.bin.txt", LARGE));
    expect(look()).toEqual({
      stores: [],
      report: { name: "at-rest", status: "ok", detail: "0 models on disk" },
    });
  });

  test("that is hostile does not stop the agent", () => {
    const entry = cacheEntry("https://a/", weights);
    new DataView(entry.buffer).setUint32(12, 0xffff_ffff, true);
    put(`${CACHE}/long_0`, entry);
    for (const [at, start] of [
      Uint8Array.of(0xff, 0x11, 0x02),
      Uint8Array.of(0xff, 0x11, 0x02, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xff, 0x11, 0x02, 0x80, 0x80, 0x80, 1, 0xfe, 0xff, 0xff, 0xff, 0xff),
      Uint8Array.of(0xff, 0x15, 0x42, 0x80, 0x80, 0x80),
    ].entries())
      put(`${IDB}/${at}`, onlyStart(start, 2 * MIB));
    expect(look()).toMatchObject({ stores: [], report: { status: "ok" } });
  });
});
