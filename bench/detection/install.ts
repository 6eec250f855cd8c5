import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheFolder, folderOf } from "./cache.ts";
import type { Source } from "./program.ts";

/** Version of uv. It installs packages from PyPI faster than pip. The lab installs uv itself from PyPI. */
const UV = "uv==0.13.8";
const INSTALL_MS_MAX = 25 * 60_000;
/**
 * Marker file. The marker is written last. If it is missing, the installation was interrupted and must start
 * again.
 */
const MARKER = "lab-installed.json";

type Run = { command: readonly string[]; env?: Record<string, string>; cwd?: string };

/**
 * Installs a source if it is not installed yet, and returns the installation folder. If the installation
 * fails, throws an error with the output of the package manager.
 */
export async function install(source: Source): Promise<string> {
  const folder = folderOf(source);
  if (isInstalled(source)) return folder;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await INSTALLERS[source.registry](source as never, folder);
  writeFileSync(join(folder, MARKER), JSON.stringify(source));
  return folder;
}

export const isInstalled = (source: Source): boolean => existsSync(join(folderOf(source), MARKER));

type Installers = {
  [R in Source["registry"]]: (source: Extract<Source, { registry: R }>, folder: string) => Promise<void>;
};

const INSTALLERS: Installers = {
  pypi: installPypi,
  npm: installNpm,
  go: installGo,
  crates: ({ crate, version }, folder) =>
    run({
      command: ["cargo", "install", "--quiet", "--locked", "--root", folder, `${crate}@${version}`],
      // Keep compiled files of an interrupted installation.
      env: {
        CARGO_TARGET_DIR: join(cacheFolder(), "cargo-target"),
        CARGO_PROFILE_RELEASE_OPT_LEVEL: "0",
        CARGO_PROFILE_RELEASE_LTO: "off",
      },
    }),
  debian: installDebian,
  none: async () => {},
};

async function run({ command, env = {}, cwd }: Run): Promise<void> {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    cwd: cwd ?? cacheFolder(),
    env: { ...process.env, ...env },
    timeout: INSTALL_MS_MAX,
  });
  const said = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) !== 0) {
    const words = said.join("\n").trim().slice(-600);
    throw new Error(`${command.slice(0, 3).join(" ")} failed: ${words}`);
  }
}

/**
 * Path of a Python interpreter. Without `version`, returns the system's Python, which other users of the host
 * can read. If `version` is given, returns that version of Python, which may come from pyenv.
 */
function python(version?: string): string {
  if (version === undefined) return existsSync("/usr/bin/python3") ? "/usr/bin/python3" : "python3";
  // The pyenv commands fail if another version is selected, so look up the folder of the version.
  const versions = join(process.env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions");
  const found = existsSync(versions)
    ? readdirSync(versions).find((name) => name.startsWith(`${version}.`))
    : undefined;
  return found === undefined ? version : join(versions, found, "bin/python3");
}

async function uv(): Promise<string> {
  const tools = join(cacheFolder(), "tools");
  const path = join(tools, "bin/uv");
  if (existsSync(path)) return path;
  await run({ command: [python(), "-m", "venv", tools] });
  await run({ command: [join(tools, "bin/pip"), "install", "--quiet", UV] });
  return path;
}

async function installPypi(
  { packages, withoutDependencies, sourceBuild, python: version }: Extract<Source, { registry: "pypi" }>,
  folder: string,
): Promise<void> {
  const client = await uv();
  // Use the system's trust store, because only the system's trust store contains the certificate of a
  // company's proxy.
  const env = {
    UV_CACHE_DIR: join(cacheFolder(), "uv"),
    UV_PYTHON_DOWNLOADS: "never",
    UV_SYSTEM_CERTS: "true",
  };
  await run({ command: [client, "venv", "--quiet", "--clear", "--python", python(version), folder], env });
  await run({
    command: [
      ...[client, "pip", "install", "--quiet", "--python", join(folder, "bin/python")],
      ...(withoutDependencies ? ["--no-deps"] : []),
      ...(sourceBuild ? [] : ["--no-build"]),
      ...packages,
    ],
    env,
  });
  const library = readdirSync(join(folder, "lib")).find((name) => /^python3\.\d+$/.test(name))!;
  symlinkSync(library, join(folder, "lib/python"));
}

function installNpm(
  { packages, scripts }: Extract<Source, { registry: "npm" }>,
  folder: string,
): Promise<void> {
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "lab", private: true }));
  return run({
    command: [
      ...["npm", "install", "--no-audit", "--no-fund", "--save-exact", "--loglevel=error"],
      ...["--cache", join(cacheFolder(), "npm-cache")],
      ...(scripts ? [] : ["--ignore-scripts"]),
      ...packages,
    ],
    cwd: folder,
  });
}

/** Compile C and C++ code without optimisation, because lab programs do no heavy computation. */
const FAST = { CGO_CFLAGS: "-O0", CGO_CXXFLAGS: "-O0" };

/** Builds a command from a copy of its module, because `go install` rejects modules whose go.mod has replacements. */
async function installGo(
  { module, command, tags }: Extract<Source, { registry: "go" }>,
  folder: string,
): Promise<void> {
  const env = {
    GOPATH: join(cacheFolder(), "gopath"),
    GOFLAGS: "-mod=mod -modcacherw",
    GOTOOLCHAIN: "local",
    // Ignore the module's go.work file, because it forbids -mod=mod.
    GOWORK: "off",
    ...FAST,
  };
  const downloaded = Bun.spawnSync(["go", "mod", "download", "-json", module], {
    env: { ...process.env, ...env },
    cwd: folder,
  });
  const { Dir } = JSON.parse(downloaded.stdout.toString() || "{}") as { Dir?: string };
  if (!Dir) throw new Error(`go mod download failed: ${downloaded.stdout}${downloaded.stderr}`.slice(0, 600));
  const copy = join(folder, "source");
  await run({ command: ["cp", "-r", Dir, copy] });
  await run({ command: ["chmod", "-R", "u+w", copy] });
  mkdirSync(join(folder, "bin"));
  const flags = ["-trimpath", "-ldflags=-s -w", ...(tags ? [`-tags=${tags}`] : [])];
  await run({ command: ["go", "build", ...flags, "-o", join(folder, "bin/"), command], env, cwd: copy });
  rmSync(copy, { recursive: true, force: true });
}

/** Unpacks the packages and their missing dependencies into one folder. */
async function installDebian(
  { packages }: Extract<Source, { registry: "debian" }>,
  folder: string,
): Promise<void> {
  const archives = join(folder, "archives");
  mkdirSync(join(archives, "partial"), { recursive: true });
  await run({
    command: [
      ...[
        "apt-get",
        "install",
        "--yes",
        "--quiet",
        "--download-only",
        "--reinstall",
        "--no-install-recommends",
      ],
      ...["-o", `Dir::Cache::archives=${archives}`, "-o", "APT::Sandbox::User=root", ...packages],
    ],
    env: { DEBIAN_FRONTEND: "noninteractive" },
  });
  const files = readdirSync(archives).filter((name) => name.endsWith(".deb"));
  for (const name of files) await run({ command: ["dpkg-deb", "--extract", join(archives, name), folder] });
  rmSync(archives, { recursive: true });
  chmodSync(folder, 0o755);
}
