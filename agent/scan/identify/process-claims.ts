import type { CatalogEntry } from "../../catalogue/entry.ts";
import { regex } from "../../catalogue/match.ts";
import { kindOfLibrary } from "../models/inference-libraries.ts";
import { programPart } from "../processes/command-line.ts";
import { baseName } from "../system/base-name.ts";
import type { Language, ProcessFacts } from "../system/host.ts";

/** Evidence from the path, command line, name or libraries of a process that it could be a certain product. */
export type Claim = { product: string; signal: "libraryOwn" | "binary" | "name"; detail: string };

const INTERPRETERS: [language: Language, names: RegExp][] = [
  ["python", /^(?:python|pypy|uv|uvicorn|gunicorn|uwsgi)w?[\d.]*$/],
  ["node", /^(?:node|nodejs|bun|deno|electron)$/],
  ["java", /^javaw?$/],
  ["dotnet", /^dotnet$/],
  ["ruby", /^ruby[\d.]*$/],
  // The loader of Actually Portable Executables, such as llamafiles. Its name is `ape`, or `.ape-1.10` in a
  // home directory or TMPDIR (ape/loader.c and ape/ape.S of jart/cosmopolitan). The first argument of the
  // loader is the program.
  ["other", /^(?:ape|\.ape(?:-[\d.]+)?)$/],
  ["other", /^(?:perl|php|php-fpm|luajit|lua|rscript|julia|beam\.smp)[\d.]*$/],
];

/**
 * Base name in lower case, without `.exe`. Nix renames a wrapped program to `.NAME-wrapped`
 * (pkgs/build-support/setup-hooks/make-wrapper.sh of nixpkgs).
 */
export const programName = (path: string): string =>
  baseName(path)
    .toLowerCase()
    .replace(/\.exe$/, "")
    .replace(/^\.(.+)-wrapped_*$/, "$1");

/** Path of the application without the suffix of a copy. The Finder names copies `Name 2.app` or `Name copy.app`. */
const asInstalled = (path: string): string =>
  slashed(path).replace(/ (?:\d+|copy(?: \d+)?)(?=\.app\/)/gi, "");

/** Parts of interpreter names: `python3-intel64`, `platform-python`, `nodejs-20`. */
const INTERPRETER_PART = /python|pypy|node|bun|deno|java|ruby|perl|php|electron/;

/** True if the name of the executable is usual for an interpreter. */
export function hasInterpreterName(executable: string): boolean {
  const program = programName(executable);
  return interpreterOf(program) !== undefined || INTERPRETER_PART.test(program);
}

/** The language of an interpreter with this program name. Undefined for other programs. */
export function interpreterOf(program: string): Language | undefined {
  return INTERPRETERS.find(([, names]) => names.test(program))?.[0];
}

/** All names of a process: the executable, the kernel's process name, and the script that an interpreter runs. */
export function namesOf(process: ProcessFacts): string[] {
  const names = new Set<string>([programName(process.name)]);
  if (process.executable) names.add(programName(process.executable));
  const runs = process.executable ? programName(process.executable) : programName(process.argv[0] ?? "");
  const script = process.argv.slice(1, 4).find((word) => !word.startsWith("-"));
  if (interpreterOf(runs) && script) names.add(programName(script));
  return [...names];
}

/** Returns the products that a process could be, based on its libraries, path, command line and name. */
export type ClaimsOf = (process: ProcessFacts, libraries: readonly string[]) => Claim[];

/**
 * Prepares the catalogue for matching against thousands of processes. Names are looked up in a map. One
 * regular expression that combines all patterns rejects most processes quickly.
 *
 * `languageOf` reads the content of an executable and returns the language that the executable interprets. It
 * is called only if the command line names a product and the executable does not have the name of an
 * interpreter.
 */
export function createClaimsOf(
  catalogue: readonly CatalogEntry[],
  languageOf: (process: ProcessFacts) => Language | "none" | undefined = () => undefined,
): ClaimsOf {
  const named = nameIndex(catalogue);
  const anyBinary = union(catalogue.flatMap(({ binaries }) => binaries ?? []));
  const anyCommand = union(catalogue.flatMap(({ commands }) => commands ?? []));
  const anyLibrary = union(catalogue.flatMap(({ libraries }) => libraries ?? []));
  /** Cached claims by name, path and command line. The cache helps because many programs run more than once. */
  const known = new Map<string, readonly Claim[]>();
  let isDecided = true;
  return (process, libraries) => {
    isDecided = true;
    if (libraries.length > 0) return claim(process, libraries);
    const words = [process.name, process.executable ?? "", ...process.argv].join("\0");
    let claims = known.get(words);
    if (claims === undefined) {
      if (known.size >= KNOWN_PROGRAMS_MAX) known.clear();
      claims = claim(process, libraries);
      if (isDecided) known.set(words, claims);
    }
    return [...claims];
  };

  /** True if the content of the executable shows that it is an interpreter. */
  function isInterpreter(process: ProcessFacts): boolean {
    const language = languageOf(process);
    isDecided = language !== undefined;
    return language !== undefined && language !== "none";
  }

  function claim(process: ProcessFacts, libraries: readonly string[]): Claim[] {
    const path = asInstalled(process.executable ?? "");
    const argv = process.argv.map(asInstalled);
    const command = argv.join(" ");
    const loaded = libraries.map(slashed).filter((file) => anyLibrary.test(file));
    const claims: Claim[] = [];
    const isPath = anyBinary.test(path);
    const isCommand = anyCommand.test(command);
    if (isPath || isCommand || loaded.length > 0) {
      const isNamed = [path, argv[0] ?? ""].some(
        (program) => interpreterOf(programName(program)) !== undefined,
      );
      const runs = isNamed || (isCommand && isInterpreter(process));
      const starts = { command, end: programPart(argv, path, runs) };
      for (const entry of catalogue) claims.push(...placeClaims(entry, path, starts, loaded));
    }
    for (const name of namesOf(process)) {
      for (const product of named(name)) {
        if (claims.some((claim) => claim.product === product && claim.signal === "name")) continue;
        claims.push({ product, signal: "name", detail: `process name is ${name}` });
      }
    }
    return claims;
  }
}

const KNOWN_PROGRAMS_MAX = 256;

/**
 * A command line. `end` is the index where the program ends and its arguments begin. A pattern must match
 * before `end`.
 */
type Starts = { command: string; end: number };

function placeClaims(entry: CatalogEntry, path: string, starts: Starts, loaded: readonly string[]): Claim[] {
  const { id: product, name } = entry;
  const claims: Claim[] = [];
  const library = loaded.find((file) => anyMatches(entry.libraries, file));
  if (library) claims.push({ product, signal: "libraryOwn", detail: `loaded ${baseName(library)}` });
  if (anyMatches(entry.binaries, path)) {
    claims.push({ product, signal: "binary", detail: `runs from the directory of ${name}` });
  } else if (beginsWithin(entry.commands, starts)) {
    claims.push({ product, signal: "binary", detail: `command line starts ${name}` });
  }
  return claims;
}

/**
 * Creates a lookup of products by process name. Names with `*` are tried last, because there are only a few
 * and they rarely match.
 */
function nameIndex(catalogue: readonly CatalogEntry[]): (name: string) => string[] {
  const exact = new Map<string, string[]>();
  const open: { product: string; known: string }[] = [];
  for (const { id, names } of catalogue) {
    for (const known of names) {
      if (known.includes("*")) open.push({ product: id, known });
      else exact.set(known, [...(exact.get(known) ?? []), id]);
    }
  }
  const anyOpen = union(open.map(({ known }) => namePattern(known)));
  return (name) => [
    ...(exact.get(name) ?? []),
    ...(anyOpen.test(name) ? open : [])
      .filter(({ known }) => sameName(known, name))
      .map(({ product }) => product),
  ];
}

/** One regular expression that combines all patterns. It never matches if the list is empty. */
const union = (patterns: readonly string[]): RegExp =>
  patterns.length === 0 ? /(?!)/ : regex(patterns.map((pattern) => `(?:${pattern})`).join("|"));

/** True if the catalogue does not list the name of the executable for the product. */
export function isRenamed(entry: CatalogEntry, executable: string): boolean {
  return entry.names.length > 0 && !hasNameOf(entry, executable);
}

/** True if the catalogue lists the name of the executable for the product. */
export function hasNameOf({ names }: CatalogEntry, executable: string): boolean {
  const program = programName(executable);
  return names.some((known) => sameName(known, program));
}

/** Web servers, proxies, tunnels and port forwarders. */
const FORWARDERS =
  /^(?:nginx|angie|openresty|apache2|httpd|haproxy|envoy|caddy|traefik|squid|varnishd|stunnel4?|socat|ncat|sshd?|sshd-session|autossh|kubectl|docker-proxy|com\.docker\.backend|rootlessport|slirp4netns|passt|pasta|gvproxy|wslrelay|systemd-socket-proxyd|tailscaled|cloudflared|ngrok|frp[cs]|mitmdump|mitmproxy)$/;

/**
 * Directories that only an administrator can write to. In other directories, a program with such a name may
 * be a disguise.
 */
const INSTALLED =
  /^(?:\/(?:usr|bin|sbin|opt|snap|nix|Applications)\/|[a-z]:\/(?:Windows|Program Files[^/]*)\/)/i;

/** True for an installed proxy, tunnel or web server. Such a program forwards responses of other programs. */
export const isForwarder = (executable: string): boolean =>
  INSTALLED.test(slashed(executable)) && FORWARDERS.test(programName(executable));

function sameName(known: string, name: string): boolean {
  return known.includes("*") ? regex(namePattern(known)).test(name) : known === name;
}

function namePattern(known: string): string {
  const parts = known.split("*").map((part) => part.replace(/[.+]/g, "\\$&"));
  return `^${parts.join(".*")}$`;
}

const anyMatches = (patterns: readonly string[] | undefined, text: string): boolean =>
  patterns?.some((pattern) => regex(pattern).test(text)) ?? false;

const beginsWithin = (patterns: readonly string[] | undefined, { command, end }: Starts): boolean =>
  patterns?.some((pattern) => (regex(pattern).exec(command)?.index ?? end) < end) ?? false;

const slashed = (path: string): string => path.replaceAll("\\", "/");

/** The first inference library in the list. Many products use these libraries, and other programs load them too. */
export function sharedLibrary(libraries: readonly string[]): string | undefined {
  return libraries.map(slashed).find((path) => ["runtime", "framework"].includes(kindOfLibrary(path) ?? ""));
}

/** Creates a filter for library paths that are evidence. */
export function libraryFilter(catalogue: readonly CatalogEntry[]): (path: string) => boolean {
  const own = union(catalogue.flatMap((entry) => entry.libraries ?? []));
  return (path) => {
    const normal = slashed(path);
    return kindOfLibrary(normal) !== undefined || own.test(normal);
  };
}
