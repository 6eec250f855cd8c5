import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { MissingBinary } from "./binaries.ts";
import { freePort } from "./free-port.ts";
import { type Stage, startStage } from "./stage.ts";

/** Command that builds the npm package's program from source, on every platform that Rust supports. */
const INSTALL_COMMAND = "cargo install dynoxide-rs --version 3.2.0 --locked";

/**
 * Places to search for a program. `findPackage` finds a file of an npm package, and `findOnPath` a program on
 * the PATH.
 */
export type ProgramSearch = {
  platform: string;
  arch: string;
  findPackage: (specifier: string) => string | undefined;
  findOnPath: (name: string) => string | undefined;
};

const thisMachine: ProgramSearch = {
  platform: process.platform,
  arch: process.arch,
  findPackage: (specifier) => {
    try {
      return createRequire(import.meta.url).resolve(specifier);
    } catch {
      return undefined;
    }
  },
  findOnPath: (name) => Bun.which(name) ?? undefined,
};

/**
 * Path of the embedded DynamoDB, from the platform's npm package or from the PATH. Throws {@link
 * MissingBinary} with the command that installs the program. docs/decisions, "No second embedded DynamoDB",
 * says why there is no other package.
 */
export function embeddedDynamodbPath(search: ProgramSearch = thisMachine): string {
  const { platform, arch, findPackage, findOnPath } = search;
  const suffix = platform === "win32" ? ".exe" : "";
  const found = findPackage(`@dynoxide/${platform}-${arch}/dynoxide${suffix}`) ?? findOnPath("dynoxide");
  if (found) return found;
  throw new MissingBinary(
    `There is no embedded DynamoDB for ${platform}-${arch} in this installation. Install it:

    ${INSTALL_COMMAND}

Or set DYNAMODB_ENDPOINT to the URL of a DynamoDB you run.`,
  );
}

export type EmbeddedDynamodb = { endpoint: string; stage: Stage };

/** Starts the embedded DynamoDB. Without a file, its data is lost when it stops. */
export async function startDynamodb(
  onLine: (stage: string, line: string) => void,
  file?: string,
): Promise<EmbeddedDynamodb> {
  const port = await freePort();
  if (file) mkdirSync(dirname(file), { recursive: true });
  const stage = await startStage({
    name: "dynamodb",
    command: [embeddedDynamodbPath(), "serve", "--port", String(port), ...(file ? ["--db-path", file] : [])],
    env: {},
    cwd: process.cwd(),
    onLine,
    isReady: (line) => line.includes("listening"),
  });
  return { endpoint: `http://127.0.0.1:${port}`, stage };
}
