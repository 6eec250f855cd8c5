import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A program the stack needs is not on this machine. The message says what to do about it. */
export class MissingBinary extends Error {
  override name = "MissingBinary";
}

function fromPackage(specifiers: readonly string[]): string | undefined {
  for (const specifier of specifiers) {
    try {
      return require.resolve(specifier);
    } catch {
      // Not the package of this platform; the next one may be.
    }
  }
  return undefined;
}

const { platform, arch } = process;

/** What finding a program depends on; tests pass other machines. */
export type Machine = {
  platform: NodeJS.Platform;
  arch: string;
  /** The file that npm installed, or undefined when the package is not one of this platform. */
  resolve: (specifiers: readonly string[]) => string | undefined;
  which: (program: string) => string | null;
};

const HERE: Machine = { platform, arch, resolve: fromPackage, which: Bun.which };

/** npm has Deno for Linux with glibc, macOS and Windows, each on x64 and arm64. */
export function denoPath({ platform, arch, resolve, which } = HERE): string {
  const base = `@deno/${platform}-${arch}`;
  const found = resolve([`${base}-glibc/deno`, `${base}/deno${suffixOf(platform)}`]) ?? which("deno");
  return found ?? missingRuntime("Deno", platform, arch);
}

/** npm has workerd for Linux and macOS on x64 and arm64, and for Windows on x64. */
export function workerdPath({ platform, arch, resolve }: Omit<Machine, "which"> = HERE): string {
  const cpu = arch === "x64" ? "64" : arch;
  const system = platform === "win32" ? "windows" : platform;
  const found = resolve([`@cloudflare/workerd-${system}-${cpu}/bin/workerd${suffixOf(platform)}`]);
  return found ?? missingRuntime("workerd", platform, arch);
}

const suffixOf = (platform: NodeJS.Platform): string => (platform === "win32" ? ".exe" : "");

/** Bun runs the start itself, so it is on every machine that comes this far. */
function missingRuntime(name: string, platform: NodeJS.Platform, arch: string): never {
  const start = "npx -y bun@1.4.5 start";
  const command =
    platform === "win32" ? `cmd /c "set LZ_EDGE_RUNTIME=bun&& ${start}"` : `LZ_EDGE_RUNTIME=bun ${start}`;
  throw new MissingBinary(`npm has no ${name} for ${platform}-${arch}. Run the edge on Bun: ${command}`);
}
