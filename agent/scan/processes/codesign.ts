import type { Run } from "../system/run-tool.ts";
import { NOT_SIGNED, notValid } from "./signers.ts";

/*
 * Verifies signatures of macOS programs with codesign(1): `-d` prints a signature and `--verify` checks it. The certificate
 * chain must end at Apple, because a self-made certificate can contain any name.
 */

const CODESIGN = "/usr/bin/codesign";
const SHOW = { timeoutMs: 5000, bytesMax: 64 * 1024, codes: [0, 1], from: "stderr" } as const;
/**
 * Verifies only the code pages of the program. The resources of its bundle can be gigabytes in size, so they
 * are ignored.
 */
const VERIFY = ["--verify", "--ignore-resources", "-R=anchor apple generic"];
const VERIFY_LIMITS = { timeoutMs: 20_000, bytesMax: 64 * 1024 };

/**
 * Leaf of the certificate chain, for example `Developer ID Application: Ollama Inc. (3MU9H2V9Y9)`, or the
 * reason why the signer is unknown. Undefined if codesign prints no signature status.
 */
export async function codesignSigner(run: Run, path: string): Promise<string | undefined> {
  const signature = parseCodesign(await run([CODESIGN, "-d", "--verbose=2", path], SHOW));
  if (signature === undefined || signature.authority === undefined) return signature?.words;
  const isValid = await run([CODESIGN, ...VERIFY, path], VERIFY_LIMITS).then(
    () => true,
    () => false,
  );
  return isValid ? signature.words : notValid(signature.words);
}

/** `words`: the text to report. `authority`: the leaf certificate, absent if the signature has no certificate. */
export type Signature = { words: string; authority?: string };

/** Parses the output of `codesign -d --verbose=2`. Undefined if the output contains no signature status. */
export function parseCodesign(text: string): Signature | undefined {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const equals = line.indexOf("=");
    const name = line.slice(0, equals);
    // The first authority is the leaf certificate, which identifies the signer.
    if (equals > 0 && !fields.has(name)) fields.set(name, line.slice(equals + 1).trim());
  }
  const authority = fields.get("Authority");
  if (authority) {
    const team = fields.get("TeamIdentifier");
    const isNamed = !team || team === "not set" || authority.includes(`(${team})`);
    return { words: isNamed ? authority : `${authority} (${team})`, authority };
  }
  // Linkers for Apple silicon add a signature that protects integrity but names no signer.
  if (fields.get("Signature") === "adhoc") return { words: "ad hoc, without a signer" };
  if (/: code object is not signed at all$/m.test(text)) return { words: NOT_SIGNED };
  return undefined;
}
