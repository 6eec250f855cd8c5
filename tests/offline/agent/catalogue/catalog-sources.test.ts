import { expect, test } from "bun:test";
import { catalogue } from "../../../../agent/catalogue/engines/list.ts";
import type { CatalogEntry, Fixture } from "../../../../agent/catalogue/entry.ts";
import { type Examined, examine, matchesTrait, regex } from "../../../../agent/catalogue/match.ts";
import { probeOf } from "../../../../agent/scan/identify/fixtures.ts";
import { UNSHOWN } from "./catalog-unshown.ts";
import { answerOf } from "./fixture-answers.ts";

/** Products without public code. The source of their fixtures is the vendor's API documentation. */
const CLOSED = new Set(["lm-studio", "nvidia-nim"]);

/** Matches a version such as 1.2, v250 or r2.11, or a commit hash. */
const VERSION = /\b(?:\d+\.\d+|v\d+)|\b[0-9a-f]{7,40}\b/;

/** True if the fixture's source is a recording or code, and names a version or a commit. */
function isVerified(id: string, { source }: Fixture): boolean {
  const isOwn =
    /^(?:recorded from|code:) /.test(source) || (CLOSED.has(id) && source.startsWith("documented:"));
  return isOwn && (VERSION.test(source) || CLOSED.has(id));
}

async function answersOf(fixture: Fixture): Promise<Map<string, Examined>> {
  const probe = probeOf(fixture);
  const answers = new Map<string, Examined>();
  for (const path of Object.keys(fixture.answers ?? {})) {
    answers.set(path, examine(answerOf(await probe({ address: "", port: 1, tls: false }, path))));
  }
  return answers;
}

async function unverified({ id, traits, fixtures }: CatalogEntry): Promise<string[]> {
  const verified = fixtures.positive.filter((fixture) => isVerified(id, fixture));
  const seen = await Promise.all(verified.map(answersOf));
  return traits
    .filter((trait) => !seen.some((answers) => hasTrait(answers, trait)))
    .map(({ path, says }) => `${id} ${path}: ${says}`);
}

function hasTrait(answers: Map<string, Examined>, trait: CatalogEntry["traits"][number]): boolean {
  const answer = answers.get(trait.path);
  return answer !== undefined && matchesTrait(trait, answer);
}

test("every trait is shown by a recording or the source code of a version", async () => {
  expect((await Promise.all(catalogue.map(unverified))).flat()).toEqual([]);
});

test.each([
  ["code: acme/engine src/server.ts"],
  ["documented: docs.acme.test, API reference 1.2"],
  ["lead: another scanner 1.2"],
  ["made up: engine 1.2"],
])("%s verifies no trait", (source) => {
  expect(isVerified("acme", { source })).toBe(false);
});

test.each([
  ["code: acme/engine v250 src/server.ts"],
  ["code: acme/engine 02d763c src/server.ts"],
  ["recorded from engine 1.2.3"],
])("%s verifies one", (source) => {
  expect(isVerified("acme", { source })).toBe(true);
});

test("every process pattern is shown by a fixture, except for a list of old patterns", () => {
  const found = catalogue.flatMap((entry) => {
    const shown = entry.fixtures.positive.flatMap(({ process }) => (process ? [process] : []));
    const paths = shown.map(({ executable }) => slashed(executable));
    const commands = shown.map(({ argv = [] }) => argv.map(slashed).join(" "));
    const libraries = shown.flatMap((process) => (process.libraries ?? []).map(slashed));
    const unshown = (patterns: readonly string[] = [], texts: readonly string[]) =>
      patterns.filter((pattern) => !texts.some((text) => regex(pattern).test(text)));
    return [
      ...unshown(entry.binaries, paths),
      ...unshown(entry.commands, commands),
      ...unshown(entry.libraries, libraries),
    ].map((pattern) => `${entry.id} ${pattern}`);
  });
  expect(found).toEqual([...UNSHOWN]);
});

const slashed = (path: string): string => path.replaceAll("\\", "/");
