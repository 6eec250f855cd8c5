import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import { COMPUTING_BYTES_MIN } from "../../../../agent/scan/gpu/drm.ts";
import { REPORT_THRESHOLD, WEIGHTS } from "../../../../agent/scan/identify/confidence.ts";
import { FRAMEWORK_BYTES_MIN, RUNTIME_BYTES_MIN } from "../../../../agent/scan/models/unmapped-weights.ts";
import { GPU_BYTES_MIN } from "../../../../agent/scan/platform/windows.ts";
import { REFRESH_MS } from "../../../../agent/scan/stores/models-on-disk.ts";
import { DIRECTORY } from "../../../../agent/scan/stores/walk-directory.ts";
import { ENGINE_KINDS, LIMITS } from "../../../../shared/wire/heartbeat.ts";
import { ROOT } from "../../../support/stack.ts";

/** Text of the page. Repeated spaces, which align tables, are reduced to one space. */
const page = readFileSync(join(ROOT, "docs/detection.md"), "utf8").replace(/ +/g, " ");
const prose = page.replace(/\n */g, " ");
const rowsOf = (heading: string): string[][] => {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? "";
  return [...section.matchAll(/^\| `.*$/gm)].map(([row]) =>
    row
      .split("|")
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
};
const MIB = 1024 ** 2;

test("docs/detection.md has every kind of evidence with its signal and weight, and the threshold", () => {
  expect(rowsOf("Evidence").map((row) => row.slice(0, 3))).toEqual(
    Object.entries(WEIGHTS).map(([name, { signal, weight }]) => [
      `\`${name}\``,
      `\`${signal}\``,
      String(weight),
    ]),
  );
  expect(prose).toContain(`**From ${REPORT_THRESHOLD} on it is reported**`);
});

test("docs/detection.md states the amounts from which weights are concluded", () => {
  expect(prose).toContain(
    `A runtime is reported from ${RUNTIME_BYTES_MIN / MIB} MiB held and ${RUNTIME_BYTES_MIN / MIB} MiB read on.`,
  );
  expect(prose).toContain(`so it needs ${FRAMEWORK_BYTES_MIN / MIB} MiB of both`);
  const { weightsPossible, weightsLikely, weightsCopied, libraryShared, gpuDevice } = WEIGHTS;
  const sums = [weightsPossible, weightsLikely, weightsCopied].map(
    ({ weight }) => weight + libraryShared.weight,
  );
  expect(prose).toContain(`with the library make ${sums.slice(0, 2).join(", ")} or ${sums[2]}`);
  expect(prose).toContain(`GPU's device adds ${gpuDevice.weight}`);
  expect(prose).toContain(`The confidence is at most ${sums[2]! + gpuDevice.weight}`);
});

test("docs/detection.md counts the products of the catalogue by kind", () => {
  const counts = ENGINE_KINDS.map((kind) => [
    `\`${kind}\``,
    String(catalogue.filter((entry) => entry.kind === kind).length),
  ]);
  expect(rowsOf("Products")).toEqual(counts.filter(([, count]) => count !== "0"));
  const stores = catalogue.filter(({ directories }) => directories).length;
  expect(prose).toContain(`knows ${catalogue.length} products; ${stores} of them with the directories`);
});

test("docs/detection.md states the limits of models on disk and of GPU memory", () => {
  const { FILES_MAX, DEPTH_MAX, WEIGHTS_BYTES_MIN, HEADERS_MAX } = DIRECTORY;
  expect(prose).toContain(`At most every ${REFRESH_MS / 1000} s`);
  const size = `files from ${WEIGHTS_BYTES_MIN / MIB} MiB on`;
  expect(prose).toContain(`At most ${FILES_MAX} files a directory, ${DEPTH_MAX} levels deep; ${size}`);
  expect(prose).toContain(`Headers are read of ${HEADERS_MAX} models a directory`);
  expect(prose).toContain(
    `A heartbeat takes ${LIMITS.MODELS_MAX} models an engine or store, ${LIMITS.STORES_MAX} stores`,
  );
  expect(prose).toContain(`from ${COMPUTING_BYTES_MIN / MIB} MiB that compute`);
  expect(prose).toContain(`from ${GPU_BYTES_MIN / MIB / 1024} GiB`);
});
