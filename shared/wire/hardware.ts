import { z } from "zod";

/**
 * Fingerprint of the machine an agent runs on: a hash over the tenant and the identifiers of the machine, see
 * docs/privacy.md. `board`: from identifiers of the mainboard (or of the virtual machine), which survive a new
 * installation and differ between copies of a disk. `machine`: from an identifier of the operating system, which a
 * copied disk keeps and a new installation changes.
 */
export const hardware = z.strictObject({
  /** SHA-256, base64url. */
  id: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  strength: z.enum(["board", "machine"]),
});
export type Hardware = z.infer<typeof hardware>;

/**
 * True when both fingerprints are of a mainboard and differ. Anything else is unknown: a fingerprint of the operating
 * system tells neither that two machines are the same nor that they differ.
 */
export const isOtherMachine = (a: Hardware | undefined, b: Hardware | undefined): boolean =>
  a?.strength === "board" && b?.strength === "board" && a.id !== b.id;
