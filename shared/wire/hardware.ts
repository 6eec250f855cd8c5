import { z } from "zod";

/**
 * Fingerprint of the machine that an agent runs on: a hash over the tenant and identifiers of the machine,
 * see docs/privacy.md.
 *
 * - `board`: from identifiers of the mainboard (or virtual machine). They survive a reinstallation and differ
 *   between copies of a disk.
 * - `machine`: from an identifier of the operating system. It survives on a copied disk and changes with a
 *   reinstallation.
 */
export const hardware = z.strictObject({
  /** SHA-256, base64url. */
  id: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  strength: z.enum(["board", "machine"]),
});
export type Hardware = z.infer<typeof hardware>;

/**
 * True if both fingerprints are of a mainboard and differ. In all other cases it is unknown whether the
 * machines differ. Fingerprints of the operating system prove neither that two machines are the same nor that
 * they differ.
 */
export const isOtherMachine = (a: Hardware | undefined, b: Hardware | undefined): boolean =>
  a?.strength === "board" && b?.strength === "board" && a.id !== b.id;
