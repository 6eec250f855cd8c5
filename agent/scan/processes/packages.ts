import { yieldToEventLoop } from "../system/cpu-budget.ts";
import type { Run } from "../system/run-tool.ts";

/**
 * Interval between two searches for the same file. The search is repeated because a package may have been
 * installed or upgraded.
 */
const REFRESH_MS = 3_600_000;
const TIMEOUT_MS = 5000;
const OUTPUT_BYTES_MAX = 64 * 1024;
const KNOWN_MAX = 256;
/** Directories in which packages install programs. */
const PACKAGED = /^\/(?:usr(?!\/local\/)|opt|bin|sbin|lib|lib64)\//;

/** True for a path in one of the package directories. Only root can write there, so reading the path is safe. */
export const isPackagePath = (path: string): boolean => PACKAGED.test(path);

export type Packages = {
  /**
   * Name and version, for example `ollama 0.12.6-1`. Undefined if no package contains the file or the search
   * is still running.
   */
  of(path: string): string | undefined;
};

type Known = { name?: string; nextAtMs: number };

/**
 * Finds the system package (dpkg or rpm) that contains a program. Calls never wait. A call starts a search if
 * none is running, and a later scan gets the result.
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
    // Starting the first program takes a few milliseconds, so let the scan finish first.
    await yieldToEventLoop();
    const name = (await ofDpkg(path).catch(() => undefined)) ?? (await ofRpm(path).catch(() => undefined));
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(path, { ...(name !== undefined && { name }), nextAtMs: deps.elapsed() + REFRESH_MS });
    isBusy = false;
  }

  async function ofDpkg(path: string): Promise<string | undefined> {
    // The dpkg database may contain the path from before /bin became a link to /usr/bin.
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

/**
 * Parses the output of `dpkg-query --search`: lines `package: /path` or `package:arch: /path`. Skips lines
 * about diversions and lines about other paths.
 */
export function parseDpkgSearch(output: string, paths: readonly string[]): string | undefined {
  for (const line of output.split("\n")) {
    const [, name, path] = /^([a-z0-9][a-z0-9+.-]*(?::[a-z0-9]+)?): (\/.*)$/.exec(line) ?? [];
    if (name && path && paths.includes(path)) return name;
  }
  return undefined;
}
