import type { Model } from "../../../shared/wire/heartbeat.ts";
import { optional } from "../system/files.ts";
import { type BrowserFormat, browserFormatOf, MODEL_BYTES_MIN } from "./browser-file.ts";
import { type Browser, browsersIn } from "./browser-profiles.ts";
import { type Look, noted, walk } from "./walk-directory.ts";

/** Maximum number of files read per storage directory. Ordinary profiles have thousands of small files. */
const BROWSER_FILES_MAX = 16_000;
const PROFILES_MAX = 64;
/** Minimum size of a built-in model in bytes. The smallest models of Chrome and Edge are far larger. */
const BUILT_IN_BYTES_MIN = 64 * 1024 * 1024;

type Place = "OPFS" | "Cache Storage" | "IndexedDB";
type Found = { place: Place; format: BrowserFormat; sizeBytes: number };

const LABELS: Readonly<Record<BrowserFormat, string>> = {
  gguf: "GGUF",
  ggml: "GGML",
  safetensors: "safetensors",
  onnx: "ONNX",
  torch: "PyTorch",
  mlc: "WebLLM",
};

/**
 * Models in the browser storage of one home directory. The result shows only that models are present. It
 * contains no page, file name or content.
 */
export function browserModels(look: Look, home: string): Model[] {
  return browsersIn(home).flatMap((browser) => {
    const pages =
      browser.family === "chromium" ? inChromium(look, browser.root) : inFirefox(look, browser.root);
    return [...asModels(browser, pages), ...builtIn(look, browser)];
  });
}

/**
 * One model for each browser, storage type and format. Individual files are not reported, so that nothing
 * identifies a page.
 */
const asModels = ({ name }: Browser, found: readonly Found[]): Model[] =>
  [...Map.groupBy(found, ({ place, format }) => `${LABELS[format]} model in ${place}`)].map(
    ([what, group]) => ({
      name: `${what} of ${name}`,
      loaded: false,
      format: wireFormat(group[0]!.format),
      sizeBytes: group.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }),
  );

const wireFormat = (format: BrowserFormat): NonNullable<Model["format"]> =>
  format === "mlc" || format === "ggml" || format === "torch" ? "unknown" : format;

/**
 * Storage directories in a Chromium profile. `WebStorage` contains all three kinds, for storage buckets.
 * Sources: a profile of Chromium 156, and storage/browser/quota of Chromium.
 */
const CHROMIUM_PLACES: readonly [directory: string, place?: Place][] = [
  ["File System", "OPFS"],
  ["Service Worker/CacheStorage", "Cache Storage"],
  ["IndexedDB", "IndexedDB"],
  ["WebStorage"],
];

function inChromium(look: Look, root: string): Found[] {
  const names = noted(look, () => look.files.list(root)) ?? [];
  if (names.length === 0) return [];
  const profiles = names.filter((name) => optional(() => look.files.list(`${root}/${name}`)) !== undefined);
  if (profiles.length > PROFILES_MAX) look.gaps.cut += 1;
  return ["", ...profiles.slice(0, PROFILES_MAX).map((name) => `/${name}`)].flatMap((profile) =>
    CHROMIUM_PLACES.flatMap(([directory, place]) =>
      modelsBelow(look, `${root}${profile}/${directory}`, place),
    ),
  );
}

/**
 * Models in a Firefox profile. `storage/<kind>/<origin>/` contains `fs`, `cache/morgue` and `idb` (dom/quota,
 * dom/fs, dom/cache, dom/indexedDB of Gecko).
 */
function inFirefox(look: Look, root: string): Found[] {
  const profiles = noted(look, () => look.files.list(root)) ?? [];
  if (profiles.length > PROFILES_MAX) look.gaps.cut += 1;
  return profiles.slice(0, PROFILES_MAX).flatMap((name) => modelsBelow(look, `${root}/${name}/storage`));
}

function modelsBelow(look: Look, directory: string, place?: Place): Found[] {
  return walk(look, directory, BROWSER_FILES_MAX).flatMap((path) => {
    const sizeBytes = optional(() => look.files.facts(path))?.sizeBytes ?? 0;
    if (sizeBytes < MODEL_BYTES_MIN) return [];
    const format = noted(look, () =>
      browserFormatOf((offset, length) => look.files.bytes(path, offset, length), sizeBytes),
    );
    return format ? [{ place: place ?? storageOf(path), format, sizeBytes }] : [];
  });
}

function storageOf(path: string): Place {
  if (/\/(?:CacheStorage|cache\/morgue)\//.test(path)) return "Cache Storage";
  return /\/(?:IndexedDB|idb)\//.test(path) ? "IndexedDB" : "OPFS";
}

/**
 * Built-in models that web pages use through a browser API. In Chrome, the file is `weights.bin`
 * (kWeightsFile of components/optimization_guide, optimization_guide_on_device_model_installer.cc). In Edge,
 * it is the largest file.
 */
function builtIn(look: Look, { name, root, family }: Browser): Model[] {
  if (family !== "chromium") return [];
  const sizesOf = (directory: string, isWanted: (path: string) => boolean): number[] =>
    walk(look, `${root}/${directory}`)
      .filter(isWanted)
      .map((path) => optional(() => look.files.facts(path))?.sizeBytes ?? 0)
      .filter((sizeBytes) => sizeBytes >= BUILT_IN_BYTES_MIN);
  const isWeights = (path: string): boolean => path.endsWith("/weights.bin");
  const sizes = [
    ...sizesOf("OptGuideOnDeviceModel", isWeights),
    ...sizesOf("OptGuideManifestModel", isWeights),
    ...sizesOf("EdgeLLMOnDeviceModel", () => true),
  ];
  if (sizes.length === 0) return [];
  return [
    { name: `Built-in model of ${name}`, loaded: false, format: "unknown", sizeBytes: Math.max(...sizes) },
  ];
}
