import type { Run } from "../system/run-tool.ts";

/** A package database is searched once for a file, and again when it may have been installed or upgraded since. */
const REFRESH_MS = 3_600_000;
const TIMEOUT_MS = 5000;
const OUTPUT_BYTES_MAX = 64 * 1024;
const KNOWN_MAX = 256;
/** Where packages put programs: what lies in a home directory belongs to none. */
const PACKAGED = /^\/(?:usr(?!\/local\/)|opt|bin|sbin|lib|lib64)\//;

/** Only root writes there: looking at such a path is safe. */
export const isPackagePath = (path: string): boolean => PACKAGED.test(path);

export type Packages = {
  /** `ollama 0.12.6-1`, or undefined: no package, or the answer is still to come. */
  of(path: string): string | undefined;
};

type Known = { name?: string; nextAtMs: number };

/**
 * Which package of the system a program came with. Never waited for: the first question starts a search, one at a
 * time, and a later scan gets its answer. Without a package manager there is none.
 */
export function createPackages(deps: { run: Run; elapsed: () => number }): Packages {
  const known = new Map<string, Known>();
  let isBusy = false;
  return {
    of: (path) => {
      if (!PACKAGED.test(path)) return undefined;
      const found = known.get(path);
      if (!isBusy && (found?.nextAtMs ?? 0) <= deps.elapsed()) void look(path);
      return found?.name;
    },
  };

  async function look(path: string): Promise<void> {
    isBusy = true;
    const name = (await ofDpkg(path).catch(() => undefined)) ?? (await ofRpm(path).catch(() => undefined));
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(path, { ...(name !== undefined && { name }), nextAtMs: deps.elapsed() + REFRESH_MS });
    isBusy = false;
  }

  async function ofDpkg(path: string): Promise<string | undefined> {
    // Before /bin became a link to /usr/bin, packages named files by the short path, and the database still does.
    const names = [path, path.startsWith("/usr/") ? path.slice(4) : `/usr${path}`];
    const output = await ask(["dpkg-query", "--search", ...names], [0, 1]);
    const name = parseDpkgSearch(output, names);
    if (name === undefined) return undefined;
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of dpkg-query
    const version = (await ask(["dpkg-query", "--show", "--showformat=${Version}\\n", name])).split("\n")[0];
    return `${name.replace(/:[a-z0-9]+$/, "")} ${version}`;
  }

  async function ofRpm(path: string): Promise<string | undefined> {
    const output = await ask(["rpm", "-qf", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n", path]);
    return /^\S+ \S+/.exec(output)?.[0];
  }

  function ask(command: string[], codes: number[] = [0]): Promise<string> {
    return Promise.resolve(deps.run(command, { timeoutMs: TIMEOUT_MS, bytesMax: OUTPUT_BYTES_MAX, codes }));
  }
}

/** Lines `package: /path` or `package:arch: /path` of `dpkg-query --search`; diversions and patterns are passed over. */
export function parseDpkgSearch(output: string, paths: readonly string[]): string | undefined {
  for (const line of output.split("\n")) {
    const [, name, path] = /^([a-z0-9][a-z0-9+.-]*(?::[a-z0-9]+)?): (\/.*)$/.exec(line) ?? [];
    if (name && path && paths.includes(path)) return name;
  }
  return undefined;
}
