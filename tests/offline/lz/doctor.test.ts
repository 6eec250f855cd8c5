import { expect, test } from "bun:test";
import { denoPath, dynoxidePath } from "../../../local/binaries.ts";
import { findProgram } from "../../../lz/doctor.ts";

test("findProgram() finds the very programs the local stack starts", () => {
  expect(findProgram("dynoxide")).toBe(dynoxidePath());
  expect(findProgram("deno")).toBe(denoPath());
});
