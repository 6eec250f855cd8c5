import type { Run } from "../system/run-tool.ts";
import { NOT_SIGNED, notValid } from "./signers.ts";

/*
 * Signatures of macOS, from codesign(1): `-d` shows what a signature says of itself, `--verify` whether it holds.
 * A self-made certificate may carry any name, hence the requirement that the chain ends at Apple.
 */

const CODESIGN = "/usr/bin/codesign";
const SHOW = { timeoutMs: 5000, bytesMax: 64 * 1024, codes: [0, 1], from: "stderr" } as const;
/** Every page of the program is hashed; resources of its bundle, gigabytes for some, are left out. */
const VERIFY = ["--verify", "--ignore-resources", "-R=anchor apple generic"];
const VERIFY_LIMITS = { timeoutMs: 20_000, bytesMax: 64 * 1024 };

/** Leaf of the certificate chain, `Developer ID Application: Ollama Inc. (3MU9H2V9Y9)`, or why there is none. */
export async function codesignSigner(run: Run, path: string): Promise<string | undefined> {
  const shown = parseCodesign(await run([CODESIGN, "-d", "--verbose=2", path], SHOW));
  if (shown === undefined || shown.authority === undefined) return shown?.words;
  const holds = await run([CODESIGN, ...VERIFY, path], VERIFY_LIMITS).then(
    () => true,
    () => false,
  );
  return holds ? shown.words : notValid(shown.words);
}

/** `words` is what is reported; `authority` is there when a certificate vouches for it. */
export type Shown = { words: string; authority?: string };

/** Undefined for what is no answer about a signature. */
export function parseCodesign(text: string): Shown | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    const name = line.slice(0, equals);
    // Authorities stand leaf first, and the leaf is who signed.
    if (equals > 0 && !fields.has(name)) fields.set(name, line.slice(equals + 1).trim());
  }
  const authority = fields.get("Authority");
  if (authority) {
    const team = fields.get("TeamIdentifier");
    const isNamed = !team || team === "not set" || authority.includes(`(${team})`);
    return { words: isNamed ? authority : `${authority} (${team})`, authority };
  }
  // Linkers for Apple silicon sign what they make: it says that nobody changed it since, not who made it.
  if (fields.get("Signature") === "adhoc") return { words: "ad hoc, by nobody" };
  if (/: code object is not signed at all$/m.test(text)) return { words: NOT_SIGNED };
  return undefined;
}
