import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { commentsOf, markersIn, type Prose, paragraphsOf, textsOf, words } from "../support/prose.ts";
import { ROOT } from "../support/stack.ts";

/** Test timeout in milliseconds. The tests parse every source file, which takes long on a busy machine. */
setDefaultTimeout(60_000);

/** Maximum number of markers per 1,000 words. */
const COMMENT_MARKERS_MAX = 0.5;
const TEXT_MARKERS_MAX = 0.5;

/** Files that quote other texts: recorded responses, and the vocabulary itself. */
const QUOTES = /fixtures\/|tests\/support\/prose\.ts|tests\/offline\/vocabulary\.test\.ts/;

const glob = (pattern: string): string[] =>
  [...new Bun.Glob(pattern).scanSync({ cwd: ROOT, dot: true })]
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => !path.includes("node_modules/") && !path.startsWith(".local/") && !QUOTES.test(path))
    .sort();

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

function density(pieces: { path: string; prose: Prose[] }[]): { perThousand: number; found: string[] } {
  let total = 0;
  const found = pieces.flatMap(({ path, prose }) =>
    prose.flatMap(({ line, text }) => {
      total += words(text);
      return markersIn(text).map((marker) => `${path}:${line} "${marker.found.trim()}": ${marker.instead}`);
    }),
  );
  return { perThousand: (1_000 * found.length) / Math.max(1, total), found };
}

const sources = glob("{agent,edge,worker,shared,lz,local,tools,bench,tests}/**/*.{ts,tsx,js}");

test("comments use plain words", () => {
  const { perThousand, found } = density(
    sources.map((path) => ({ path, prose: commentsOf(path, read(path)) })),
  );
  expect(perThousand, found.join("\n")).toBeLessThan(COMMENT_MARKERS_MAX);
});

test("texts of programs and pages use plain words", () => {
  const texts = sources.filter((path) => !/^(?:tests|bench)\//.test(path));
  const { perThousand, found } = density(texts.map((path) => ({ path, prose: textsOf(path, read(path)) })));
  expect(perThousand, found.join("\n")).toBeLessThan(TEXT_MARKERS_MAX);
});

test("documents use plain words", () => {
  const { perThousand, found } = density(
    ["*.md", "docs/**/*.md", "deploy/**/*.md"]
      .flatMap(glob)
      .map((path) => ({ path, prose: paragraphsOf(read(path)) })),
  );
  expect(perThousand, found.join("\n")).toBeLessThan(TEXT_MARKERS_MAX);
});

test("the checker finds a marker in a comment, a text and a page, and accepts plain words", () => {
  const source = `// Whoever asks is told.\nexport const text = \`nothing of ours is \${1} here\`;\n/** Returns the host. */`;
  expect(commentsOf("a.ts", source).map(({ text }) => markersIn(text).length)).toEqual([2, 0]);
  expect(textsOf("a.ts", source).flatMap(({ text }) => markersIn(text).map(({ found }) => found))).toEqual([
    "of ours",
  ]);
  expect(
    paragraphsOf("# Page\n\n    told\n\nIt was built anew.").map(({ text }) => markersIn(text).length),
  ).toEqual([0, 1]);
  expect(markersIn("There is no engine. The user `nobody` runs it. It is no longer there.")).toEqual([]);
});
