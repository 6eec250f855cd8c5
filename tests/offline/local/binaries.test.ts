import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { denoPath, type Machine, MissingBinary, workerdPath } from "../../../local/binaries.ts";
import { ROOT } from "../../support/stack.ts";

const packagesOf = (name: string): string[] =>
  Object.keys(
    JSON.parse(readFileSync(join(ROOT, `node_modules/${name}/package.json`), "utf8")).optionalDependencies,
  );
const AVAILABLE = [...packagesOf("deno"), ...packagesOf("workerd")];

/**
 * Test double of a machine with the programs that npm has for it, according to the optional dependencies of
 * the installed packages.
 */
const machine = (platform: NodeJS.Platform, arch: string, program?: string): Machine => ({
  platform,
  arch,
  resolve: (specifiers) => specifiers.find((one) => AVAILABLE.includes(one.split("/").slice(0, 2).join("/"))),
  which: () => program ?? null,
});

test.each([
  ["linux", "x64", "@deno/linux-x64-glibc/deno", "@cloudflare/workerd-linux-64/bin/workerd"],
  ["linux", "arm64", "@deno/linux-arm64-glibc/deno", "@cloudflare/workerd-linux-arm64/bin/workerd"],
  ["darwin", "x64", "@deno/darwin-x64/deno", "@cloudflare/workerd-darwin-64/bin/workerd"],
  ["darwin", "arm64", "@deno/darwin-arm64/deno", "@cloudflare/workerd-darwin-arm64/bin/workerd"],
  ["win32", "x64", "@deno/win32-x64/deno.exe", "@cloudflare/workerd-windows-64/bin/workerd.exe"],
] as const)("on %s-%s both runtimes come from npm", (platform, arch, deno, workerd) => {
  expect(denoPath(machine(platform, arch))).toBe(deno);
  expect(workerdPath(machine(platform, arch))).toBe(workerd);
});

test("on Windows for arm64, Deno comes from npm, and the error for workerd names one command", () => {
  expect(denoPath(machine("win32", "arm64"))).toBe("@deno/win32-arm64/deno.exe");
  const fault = new MissingBinary(
    'npm has no workerd for win32-arm64. Run the edge on Bun: cmd /c "set LZ_EDGE_RUNTIME=bun&& npx -y bun@1.4.5 start"',
  );
  expect(() => workerdPath(machine("win32", "arm64"))).toThrow(fault);
});

test("elsewhere Deno on the PATH is used, and without it the error names one command", () => {
  expect(denoPath(machine("freebsd", "x64", "/usr/local/bin/deno"))).toBe("/usr/local/bin/deno");
  const words =
    "npm has no Deno for freebsd-x64. Run the edge on Bun: LZ_EDGE_RUNTIME=bun npx -y bun@1.4.5 start";
  expect(() => denoPath(machine("freebsd", "x64"))).toThrow(new MissingBinary(words));
});

test("the start exits within 2 s with that line, before it starts or writes anything", () => {
  const folder = mkdtempSync(join(tmpdir(), "lz-platform-"));
  try {
    const preload = join(folder, "platform.ts");
    writeFileSync(preload, `Object.defineProperty(process, "platform", { value: "freebsd" });`);
    const startedAt = performance.now();
    const { exitCode, stdout, stderr } = Bun.spawnSync(
      [process.execPath, "--preload", preload, join(ROOT, "local/start.ts")],
      { cwd: ROOT, env: { PATH: "/nonexistent", LZ_LOCAL_DIR: join(folder, "data") } },
    );
    const tookMs = performance.now() - startedAt;
    expect([exitCode, stdout.toString(), stderr.toString()]).toEqual([
      2,
      "",
      `cannot start: npm has no Deno for freebsd-${process.arch}. Run the edge on Bun: LZ_EDGE_RUNTIME=bun npx -y bun@1.4.5 start\n`,
    ]);
    expect(existsSync(join(folder, "data"))).toBe(false);
    expect(tookMs).toBeLessThan(2000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
