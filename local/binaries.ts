import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** Error for a program of the local stack that is missing on this machine. The message says how to get it. */
export class MissingBinary extends Error {
  override name = "MissingBinary";
}

function fromPackage(specifiers: readonly string[]): string | undefined {
  for (const specifier of specifiers) {
    try {
      return require.resolve(specifier);
    } catch {
      // This package is for another platform. Try the next one.
    }
  }
  return undefined;
}

const { platform, arch } = process;

/** Inputs for the search for a program. Tests pass other machines. */
export type Machine = {
  platform: NodeJS.Platform;
  arch: string;
  /** Returns the path of a file in an installed npm package. Undefined if none of the packages is installed. */
  resolve: (specifiers: readonly string[]) => string | undefined;
  which: (program: string) => string | null;
};

const HERE: Machine = { platform, arch, resolve: fromPackage, which: Bun.which };

/** Path of Deno. npm has Deno for Linux with glibc, macOS and Windows, each on x64 and arm64. */
export function denoPath({ platform, arch, resolve, which } = HERE): string {
  const base = `@deno/${platform}-${arch}`;
  const found = resolve([`${base}-glibc/deno`, `${base}/deno${suffixOf(platform)}`]) ?? which("deno");
  return found ?? missingRuntime("Deno", platform, arch);
}

/** Path of workerd. npm has workerd for Linux and macOS on x64 and arm64, and for Windows on x64. */
export function workerdPath({ platform, arch, resolve }: Omit<Machine, "which"> = HERE): string {
  const cpu = arch === "x64" ? "64" : arch;
  const system = platform === "win32" ? "windows" : platform;
  const found = resolve([`@cloudflare/workerd-${system}-${cpu}/bin/workerd${suffixOf(platform)}`]);
  return found ?? missingRuntime("workerd", platform, arch);
}

const suffixOf = (platform: NodeJS.Platform): string => (platform === "win32" ? ".exe" : "");

/** Throws {@link MissingBinary}, which suggests Bun. Bun is present, because this program itself runs on Bun. */
function missingRuntime(name: string, platform: NodeJS.Platform, arch: string): never {
  const start = "npx -y bun@1.4.5 start";
  const command =
    platform === "win32" ? `cmd /c "set LZ_EDGE_RUNTIME=bun&& ${start}"` : `LZ_EDGE_RUNTIME=bun ${start}`;
  throw new MissingBinary(`npm has no ${name} for ${platform}-${arch}. Run the edge on Bun: ${command}`);
}
