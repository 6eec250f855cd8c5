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
const suffix = platform === "win32" ? ".exe" : "";

export function denoPath(): string {
  const base = `@deno/${platform}-${arch}`;
  const found = fromPackage([`${base}-glibc/deno`, `${base}/deno${suffix}`]) ?? Bun.which("deno");
  if (found) return found;
  throw new MissingBinary(
    `no Deno for ${platform}-${arch}: put "deno" on the PATH, or set LZ_EDGE_RUNTIME=bun`,
  );
}

export function workerdPath(): string {
  const cpu = arch === "x64" ? "64" : arch;
  const system = platform === "win32" ? "windows" : platform;
  const found = fromPackage([`@cloudflare/workerd-${system}-${cpu}/bin/workerd${suffix}`]);
  if (found) return found;
  throw new MissingBinary(`no workerd for ${platform}-${arch}: set LZ_EDGE_RUNTIME=deno or bun`);
}
