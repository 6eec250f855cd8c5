import { createHash } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import type { Hardware } from "../../../shared/wire/hardware.ts";
import { runWithin } from "../../platform/run-command.ts";
import { type Identifiers, identifiersOf } from "./identifiers.ts";
import { type ReadDeps, readIdentifiers } from "./read-identifiers.ts";

const LABEL = "lifecyclezero hardware 1";
/**
 * Timeout in milliseconds for a program that reads identifiers. PowerShell takes several seconds to start on
 * a busy host.
 */
const TIMEOUT_MS = 15_000;

/**
 * Returns the fingerprint for one tenant. Fingerprints of the same machine differ between tenants, so that
 * two tenants cannot find out that they share a machine.
 */
export function fingerprintFor(tenantId: string, { strength, values }: Identifiers): Hardware {
  const text = [LABEL, tenantId, strength, ...values].join("\n");
  return { id: createHash("sha256").update(text).digest("base64url"), strength };
}

/** Reads the fingerprint of this machine. Undefined if the machine has no usable identifier. */
export async function readHardware(tenantId: string, deps: ReadDeps): Promise<Hardware | undefined> {
  const { raw, isContainer } = await readIdentifiers(deps);
  const identifiers = identifiersOf(raw, isContainer);
  return identifiers && fingerprintFor(tenantId, identifiers);
}

/** {@link readHardware} with the files and programs of the running system. */
export const hardwareOf = (platform: NodeJS.Platform, tenantId: string): Promise<Hardware | undefined> =>
  readHardware(tenantId, {
    platform,
    run: runWithin(TIMEOUT_MS),
    read: (path) => orUndefined(() => readFileSync(path, "utf8")),
    readLink: (path) => orUndefined(() => readlinkSync(path)),
  });

function orUndefined(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
