import { expect, test } from "bun:test";
import { recogniseWeights } from "../../../../../agent/scan/models/weights.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";
import { llamafile } from "./llamafiles.ts";

const gguf = ggufFile(HOLIDAY_PHOTOS);
const args = { name: ".args", content: new TextEncoder().encode("-m\ntiny.gguf\n"), method: 8 };
const tiny = { name: "tiny.gguf", content: gguf };

function found(file: Uint8Array<ArrayBuffer>, sizeBytes = file.length) {
  return recogniseWeights((offset, length) => file.slice(offset, offset + length), sizeBytes);
}

test("recogniseWeights() finds the weights inside a llamafile and reads their header", () => {
  for (const head of ["MZqFpD='\n", "jartsr='\n"])
    expect(found(llamafile([args, tiny], { head }))).toMatchObject({
      format: "gguf",
      header: { name: "TinyLlama 1.1B Chat", quantisation: "Q4_K_M" },
    });
});

test("recogniseWeights() finds the weights in a llamafile above 4 GiB", () => {
  expect(found(llamafile([args, tiny], { isWide: true }))).toMatchObject({
    header: { architecture: "llama" },
  });
});

test("recogniseWeights() finds no weights in other portable executables", () => {
  expect(found(llamafile([args]))).toBeUndefined();
  expect(found(llamafile([{ ...tiny, method: 8 }]))).toBeUndefined();
  expect(found(llamafile([{ name: "notes.gguf", content: new Uint8Array(64) }]))).toBeUndefined();
  // A zip archive that is not a program, for example a backup of models.
  expect(found(llamafile([tiny], { head: "PK" }))).toBeUndefined();
});

test("recogniseWeights() returns nothing for truncated or hostile archives", () => {
  const whole = llamafile([args, tiny], { isWide: true });
  for (let cut = 1; cut < whole.length; cut += 37) {
    const file = whole.slice(0, whole.length - cut);
    expect(() => found(file)).not.toThrow();
    expect(() => found(file, whole.length)).not.toThrow();
  }
  for (let at = 4096; at < whole.length; at += 1) {
    const file = whole.slice();
    file[at] = 0xff;
    expect(() => found(file)).not.toThrow();
  }
});
