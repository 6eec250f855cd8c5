import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { embeddedDynamodbPath, type ProgramSearch } from "../../../local/dynamodb.ts";
import { freePort } from "../../../local/free-port.ts";

const ROOT = resolve(import.meta.dir, "../../..");
const COMMAND = "cargo install dynoxide-rs --version 3.2.0 --locked";

const PLATFORMS = [
  ["darwin", "arm64"],
  ["darwin", "x64"],
  ["win32", "x64"],
  ["win32", "arm64"],
  ["linux", "arm64"],
] as const;

const search = (platform: string, arch: string, more: Partial<ProgramSearch> = {}): ProgramSearch => ({
  platform,
  arch,
  findPackage: () => undefined,
  findOnPath: () => undefined,
  ...more,
});

describe("embeddedDynamodbPath()", () => {
  test.each(PLATFORMS)(
    "on %s-%s without the program throws the one command that installs it",
    (platform, arch) => {
      let message = "";
      try {
        embeddedDynamodbPath(search(platform, arch));
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toContain(`${platform}-${arch}`);
      const commands = message.split("\n").filter((line) => line.startsWith("    "));
      expect(commands).toEqual([`    ${COMMAND}`]);
      expect(message).toContain("DYNAMODB_ENDPOINT");
    },
  );

  test.each(PLATFORMS)(
    "on %s-%s takes the npm package of the platform, where it is installed",
    (platform, arch) => {
      const file = `@dynoxide/${platform}-${arch}/dynoxide${platform === "win32" ? ".exe" : ""}`;
      const findPackage = (specifier: string) => (specifier === file ? `/modules/${file}` : undefined);
      expect(embeddedDynamodbPath(search(platform, arch, { findPackage }))).toBe(`/modules/${file}`);
    },
  );

  test("uses the program on the PATH if there is no package", () => {
    const findOnPath = (name: string) => (name === "dynoxide" ? "/usr/local/bin/dynoxide" : undefined);
    expect(embeddedDynamodbPath(search("darwin", "arm64", { findOnPath }))).toBe("/usr/local/bin/dynoxide");
  });
});

test("the start without the embedded DynamoDB prints that command and exits, before it starts anything", async () => {
  const root = mkdtempSync(join(tmpdir(), "lz-no-dynamodb-"));
  try {
    for (const part of ["local", "shared", "package.json"])
      cpSync(join(ROOT, part), join(root, part), { recursive: true });
    mkdirSync(join(root, "node_modules"));
    for (const name of readdirSync(join(ROOT, "node_modules")).filter((name) => name !== "@dynoxide"))
      symlinkSync(join(ROOT, "node_modules", name), join(root, "node_modules", name));
    const child = Bun.spawn([process.execPath, "local/start.ts"], {
      cwd: root,
      env: { PATH: "/nowhere", HOME: root, LZ_PORT: String(await freePort()) },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [code, out, err] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    expect([code, out.trim()]).toEqual([1, "Starting LifecycleZero"]);
    expect(err).toContain(`\n    ${COMMAND}\n`);
    expect(err).not.toContain("    at ");
  } finally {
    rmSync(root, { recursive: true });
  }
}, 30_000);
