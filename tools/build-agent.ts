import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { catalogue, catalogueVersion } from "../agent/catalogue/engines/list.ts";
import { type Command, flag } from "../shared/command-line/options.ts";
import { readProcessArguments } from "../shared/command-line/read-process-arguments.ts";

/** Targets of `--all`. With the prefix `bun-`, they are values of `bun build --target`. */
export const TARGETS = ["linux-x64", "linux-arm64", "darwin-arm64", "darwin-x64", "windows-x64"] as const;
export type Target = (typeof TARGETS)[number];

const ROOT = join(import.meta.dir, "..");
const DIST = join(ROOT, "dist");
const ENTRY = "agent/main.ts";
/** Source folders of the binary. A build is skipped if none of the sources changed. */
const INPUT_DIRECTORIES = ["agent", "shared"];
const INPUT_FILES = ["package.json", "bun.lock", "tools/build-agent.ts"];

/**
 * Flags of `bun build`.
 *
 * A binary that runs as root must not read configuration from its working directory. Therefore it ignores
 * .env, bunfig.toml, tsconfig.json and package.json at run time.
 *
 * The daemon works for a few milliseconds every few seconds, so a JIT has no benefit. With `--smol` and a
 * high JIT threshold, its code stays in the interpreter, which saves 12 MB of memory. Bytecode halves the CPU
 * time of a start (from 70 to 32 ms). A target whose runtime does not support bytecode parses the source in
 * the binary.
 */
export const COMPILE_FLAGS = [
  "--compile",
  "--minify",
  "--bytecode",
  "--format=esm",
  "--sourcemap=none",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
  "--compile-exec-argv=--smol",
  "--compile-jit-policy=1000000",
] as const;

export const fileOf = (target: Target): string =>
  `lz-agent-${target}${target.startsWith("windows") ? ".exe" : ""}`;

/** Hash of all build inputs. Unchanged sources are not compiled again. */
export function inputHash(root: string, extra: readonly string[]): string {
  const hash = createHash("sha256");
  const files = INPUT_DIRECTORIES.flatMap((directory) =>
    (readdirSync(join(root, directory), { recursive: true }) as string[]).map((file) =>
      join(directory, file),
    ),
  ).filter((file) => statSync(join(root, file)).isFile());
  for (const file of [...INPUT_FILES, ...files.sort()])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update("\0");
  for (const word of extra) hash.update(`${word}\0`);
  return hash.digest("hex");
}

export const sha256Of = (path: string): string =>
  createHash("sha256").update(readFileSync(path)).digest("hex");

type Component = { name: string; version: string; licence?: string };

/** Packages in the bundle, taken from the input paths in the bundler's metafile. */
export function packagesIn(inputs: readonly string[], read: (path: string) => string): Component[] {
  const directories = inputs
    .map((input) => /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1])
    .filter((name) => name !== undefined);
  return [...new Set(directories)].sort().map((name) => {
    const manifest = JSON.parse(read(`node_modules/${name}/package.json`)) as Component & {
      license?: string;
    };
    return { name, version: manifest.version, ...(manifest.license ? { licence: manifest.license } : {}) };
  });
}

/**
 * The SBOM of the binaries as CycloneDX 1.6 (ECMA-424). It contains no time, so the same input gives the same
 * file.
 */
export function cyclonedx(version: string, bunVersion: string, packages: readonly Component[]): object {
  const purl = ({ name, version }: Component): string => `pkg:npm/${name.replace("@", "%40")}@${version}`;
  const parts = [{ name: "bun", version: bunVersion, licence: "MIT" }, ...packages];
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", "bom-ref": "lz-agent", name: "lz-agent", version } },
    components: parts.map((component) => ({
      type: component.name === "bun" ? "platform" : "library",
      "bom-ref": purl(component),
      name: component.name,
      version: component.version,
      purl: purl(component),
      ...(component.licence ? { licenses: [licenceChoice(component.licence)] } : {}),
    })),
    dependencies: [{ ref: "lz-agent", dependsOn: parts.map(purl) }],
  };
}

/** A licence in CycloneDX: one SPDX identifier as `license`, several (`MIT OR Apache-2.0`) as `expression`. */
const licenceChoice = (licence: string): object =>
  /^[\w.+-]+$/.test(licence) ? { license: { id: licence } } : { expression: licence };

/**
 * Runs the same Bun binary as this script, because under npx no other Bun is installed. If it fails, throws
 * an error with its output.
 */
async function bun(args: readonly string[]): Promise<void> {
  const child = Bun.spawn([process.execPath, ...args], { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`bun ${args[0]} failed:\n${stdout}${stderr}`);
}

/** Compiles to a temporary file and renames it, because a running binary cannot be overwritten (ETXTBSY). */
async function compile(outfile: string, target?: Target): Promise<void> {
  const fresh = join(DIST, `.fresh-${basename(outfile)}`);
  await bun([
    "build",
    ENTRY,
    ...COMPILE_FLAGS,
    ...(target ? [`--target=bun-${target}`] : []),
    `--outfile=${fresh}`,
  ]);
  renameSync(fresh, outfile);
}

/** Writes the catalogue of this build to dist/catalogue.json. Sign the file with `bun run lz catalog sign`. */
function writeCatalogue(): void {
  const text = JSON.stringify({ version: catalogueVersion, entries: catalogue });
  writeFileSync(join(DIST, "catalogue.json"), `${text}\n`);
}

/** Compiles dist/lz-agent for this host, unless its inputs are the same as in the last build. */
async function buildHost(): Promise<void> {
  const outfile = join(DIST, process.platform === "win32" ? "lz-agent.exe" : "lz-agent");
  const stamp = join(DIST, ".lz-agent.inputs");
  const inputs = inputHash(ROOT, [...COMPILE_FLAGS, Bun.version, process.platform, process.arch]);
  const current = `${inputs} ${sizeOf(outfile)}`;
  if (readOrEmpty(stamp) === current) {
    console.log(`${relative(ROOT, outfile)} is up to date`);
    return;
  }
  await compile(outfile);
  writeFileSync(stamp, `${inputs} ${sizeOf(outfile)}`);
  console.log(`${relative(ROOT, outfile)} ${megabytes(outfile)}`);
}

/** Compiles the binaries of all targets, and writes their checksums and the SBOM. */
async function buildAll(): Promise<void> {
  const sums: string[] = [];
  for (const target of TARGETS) {
    const outfile = join(DIST, fileOf(target));
    await compile(outfile, target);
    sums.push(`${sha256Of(outfile)}  ${basename(outfile)}`);
    console.log(`${relative(ROOT, outfile)} ${megabytes(outfile)}`);
  }
  const metafile = join(DIST, ".meta.json");
  await bun([
    "build",
    ENTRY,
    "--target=bun",
    "--minify",
    `--metafile=${metafile}`,
    `--outfile=${join(DIST, ".bundle.js")}`,
  ]);
  const { inputs } = JSON.parse(readFileSync(metafile, "utf8")) as { inputs: Record<string, unknown> };
  for (const temporary of [metafile, join(DIST, ".bundle.js")]) rmSync(temporary, { force: true });
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const packages = packagesIn(Object.keys(inputs), (path) => readFileSync(join(ROOT, path), "utf8"));
  const sbom = join(DIST, "sbom.cdx.json");
  writeFileSync(sbom, `${JSON.stringify(cyclonedx(version, Bun.version, packages), null, 2)}\n`);
  sums.push(`${sha256Of(sbom)}  ${basename(sbom)}`);
  writeFileSync(join(DIST, "SHA256SUMS"), `${sums.join("\n")}\n`);
  console.log(`dist/SHA256SUMS and dist/sbom.cdx.json (${packages.map(({ name }) => name).join(", ")})`);
}

const sizeOf = (path: string): number => {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
};
const readOrEmpty = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};
const megabytes = (path: string): string => `${(sizeOf(path) / 1e6).toFixed(1)} MB`;

const COMMAND: Command = {
  summary: "compile dist/lz-agent for this host, unless nothing changed, and write dist/catalogue.json",
  options: {
    all: flag(`compile binaries for ${TARGETS.join(", ")}, with SHA256SUMS and sbom.cdx.json`),
  },
};

async function main(): Promise<number> {
  const { flags } = readProcessArguments("bun run build:agent", COMMAND);
  mkdirSync(DIST, { recursive: true });
  try {
    writeCatalogue();
    await (flags.has("all") ? buildAll() : buildHost());
    return 0;
  } catch (cause) {
    console.error(`build:agent: ${cause instanceof Error ? cause.message : "failed"}`);
    return 1;
  }
}

if (import.meta.main) process.exitCode = await main();
