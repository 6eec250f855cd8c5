import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, normalize } from "node:path";
import { bundleForWorkerd } from "../../local/edge-command.ts";
import { ROOT } from "../support/stack.ts";

/** Folders from which each folder can import. Each folder can also import from itself. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  shared: [],
  agent: ["shared"],
  edge: ["shared"],
  worker: ["shared"],
  lz: ["shared"],
  local: ["shared"],
  // The tools write the configuration page from the schemas of all stages.
  tools: ["agent", "edge", "worker", "shared"],
};

/** Packages that a stage can import. The agent is one binary on every host, so each package makes it larger. */
const PACKAGES: Record<string, RegExp> = {
  shared: /^(@opentelemetry\/.+|zod|jose|ulid|@aws-sdk\/client-dynamodb)$/,
  agent: /^(node:.+|bun|bun:ffi|zod|jose)$/,
  edge: /^(@hono\/zod-validator|@opentelemetry\/api|d3-(scale|shape)|hono(\/.+)?|zod|zod-openapi|jose|aws4fetch|ulid)$/,
  worker:
    /^(ai|@ai-sdk\/openai-compatible|@opentelemetry\/api|node:.+|zod|ai|@ai-sdk\/openai-compatible|@aws-sdk\/client-(dynamodb|sqs))$/,
};

/**
 * Only entry files read the time, randomness and the environment. Entry files pass these values on to other
 * files.
 */
const ENTRIES = new Set([
  "agent/main.ts",
  "tools/build-agent.ts",
  "edge/bun.ts",
  "edge/deno.ts",
  "edge/workerd.ts",
  "edge/composition-root.ts",
  "worker/main.ts",
]);

const AMBIENT =
  /\b(Date\.now\(|new Date\(\)|performance\.now\(|Math\.random\(|getRandomValues\(|process\.env|Bun\.env|Deno\.)/;

const files = [...new Bun.Glob("{shared,agent,edge,worker,lz,local,tools}/**/*.{ts,tsx}").scanSync(ROOT)].map(
  (path) => path.replaceAll("\\", "/"),
);
const source = (path: string) => readFileSync(join(ROOT, path), "utf8");
const stageOf = (path: string) => path.split("/")[0]!;

/** Source text without comments, so that a mention in a comment is not counted. */
const code = (path: string) => source(path).replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, "");

function imports(path: string): { specifier: string; isType: boolean }[] {
  const found = code(path).matchAll(
    /^\s*(?:import|export)\s+(type\s)?(?:[^"';]*?from\s+)?"([^"]+)"|import\("([^"]+)"\)/gm,
  );
  return [...found].map(([, type, plain, dynamic]) => ({
    specifier: (plain ?? dynamic)!,
    isType: type !== undefined,
  }));
}

describe("the architecture", () => {
  test("every stage has files that are checked", () => {
    for (const stage of Object.keys(MAY_IMPORT))
      expect(files.some((path) => stageOf(path) === stage)).toBe(true);
  });

  test("a stage imports only itself and shared/, and shared/ imports only itself", () => {
    const wrong = files.flatMap((path) =>
      imports(path)
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier }) => stageOf(normalize(join(dirname(path), specifier))))
        .filter((target) => target !== stageOf(path) && !MAY_IMPORT[stageOf(path)]!.includes(target))
        .map((target) => `${path} imports ${target}/`),
    );
    expect(wrong).toEqual([]);
  });

  test("a stage imports only its allowed packages", () => {
    const wrong = files.flatMap((path) =>
      imports(path)
        .filter(({ specifier, isType }) => !specifier.startsWith(".") && !isType)
        .filter(({ specifier }) => PACKAGES[stageOf(path)] && !PACKAGES[stageOf(path)]!.test(specifier))
        // Programs with a command line run on Bun or Node, so they can use `node:util`. They are not in the
        // workerd bundle.
        .filter(({ specifier }) => !(path.startsWith("shared/command-line/") && specifier === "node:util"))
        // Only the entry files of Bun and Deno can use `node:` modules. Another test checks the workerd
        // bundle.
        .filter(
          ({ specifier }) => !(/^edge\/(runtime\/)?(bun|deno)/.test(path) && specifier.startsWith("node:")),
        )
        .map(({ specifier }) => `${path} uses ${specifier}`),
    );
    expect(wrong).toEqual([]);
  });

  test("only entry files read time, randomness and environment", () => {
    const stages = new Set(["shared", "agent", "edge", "worker"]);
    const wrong = files.filter(
      (path) =>
        stages.has(stageOf(path)) &&
        !ENTRIES.has(path) &&
        !path.includes(".client.") &&
        AMBIENT.test(code(path)),
    );
    expect(wrong).toEqual([]);
  });

  test("there are no barrel files and no meaningless file names", () => {
    const empty =
      /^(index|utils?|helpers?|common|manager|misc|service)\.tsx?$|\/(utils?|helpers?|common|managers?|services?)\//;
    // docs/ describes `lz-agent service`. Each other command has a file in agent/cli/.
    const named = files.filter((path) => path !== "agent/cli/service.ts");
    expect(named.filter((path) => empty.test(basename(path)) || empty.test(`/${dirname(path)}/`))).toEqual(
      [],
    );
  });
});

test("each decision record has its own number", () => {
  const numbers = readdirSync(join(ROOT, "docs/decisions")).flatMap(
    (name) => name.match(/^\d{4}/)?.[0] ?? [],
  );
  expect(numbers.length).toBeGreaterThan(20);
  expect(numbers.filter((number, at) => numbers.indexOf(number) !== at)).toEqual([]);
});

test("the bundle for workerd has no node: import and is smaller than its limit", async () => {
  // Maximum size of the compressed bundle. Cloudflare Workers allow 3 MB. A third of the bundle is the pages
  // and the rules for dry runs of a policy. d3-scale and d3-shape take 20 KB, and signature checks take 4 KB.
  const COMPRESSED_BYTES_MAX = 256 * 1024;
  const folder = mkdtempSync(join(tmpdir(), "lz-bundle-"));
  try {
    const text = readFileSync(await bundleForWorkerd(ROOT, folder), "utf8");
    expect(text.match(/(?:from|import|import\(|require\()\s*["'`](?:node:|bun)[^"'`]*/g)).toBeNull();
    const compressed = Bun.gzipSync(text).length;
    console.log(`workerd bundle: ${text.length} bytes, ${compressed} compressed`);
    expect(compressed).toBeLessThan(COMPRESSED_BYTES_MAX);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
